"""Watch a board's system calls."""

import asyncio
from pathlib import Path
import sys

from micropython.provision.manifest import stage

_MICROPYTHON = Path(sys.executable).with_name("micropython")


async def written_to_server(
    directory: Path, program: str, **values: object
) -> list[str]:
    """Run a program on MicroPython, and return the calls that wrote to its first connection.

    Args:
        directory: where the port's files and the trace are put.
        program: MicroPython source; finds `values` as globals, and has to come to `say`.
        values: for the program.
    """
    stage(directory)
    told = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    source = f"{told}def say(value): print('SAID', value)\n{program}"
    (directory / "program.py").write_text(source, encoding="utf-8")
    trace = directory / "trace"
    process = await asyncio.create_subprocess_exec(
        "strace",
        "-o",
        str(trace),
        "-e",
        "trace=connect,write,writev,send,sendto,sendmsg",
        str(_MICROPYTHON),
        "program.py",
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert b"SAID" in output, output.decode()
    lines = trace.read_text(encoding="utf-8").splitlines()
    connected = next(line for line in lines if line.startswith("connect("))
    descriptor = connected.partition("(")[2].partition(",")[0]
    return [
        line
        for line in lines
        if f"({descriptor}, " in line and not line.startswith("connect(")
    ]
