"""What else sends readings from a board, in the words of MicroPython."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import subprocess
import sys

from micropython.provision.build import cross_compile

from .client import Client
from .costs import MESSAGE, READING, TOKEN, TOPIC

# Their archives on PyPI have no setup.py any more, so that no installer finishes; it has
# unpacked them by then.
_ON_PYPI = {
    "umqtt.simple 1.3.4": ("micropython-umqtt.simple==1.3.4",),
    "umqtt.robust 1.0": (
        "micropython-umqtt.simple==1.3.4",
        "micropython-umqtt.robust==1.0",
    ),
    "uthingsboard 0.2.0": (
        "micropython-umqtt.simple==1.3.4",
        "micropython-umqtt.robust==1.0",
        "thingsboard-micropython==0.2.0",
    ),
}

EARLIER: Mapping[str, Mapping[str, float]] = {
    "requests 0.10": {
        "mpy_bytes": 3189,
        "import_heap": 5376,
        "smallest_heap": 11954,
        "fresh_us": 526,
        "writes": 23,
    },
    "aiohttp 0.0.8": {
        "mpy_bytes": 7477,
        "import_heap": 16672,
        "smallest_heap": 35576,
        "fresh_us": 544,
        "writes": 1,
    },
    "umqtt.simple 1.8.0": {
        "mpy_bytes": 2536,
        "import_heap": 5280,
        "smallest_heap": 12208,
        "kept_us": 44005,
        "fresh_us": 44009,
        "writes": 5,
    },
    "mqtt_as 0.8.3": {
        "mpy_bytes": 11183,
        "import_heap": 23392,
        "smallest_heap": 41164,
        "kept_us": 100287,
        "fresh_us": 1203837,
        "writes": 5,
    },
    "ThingsBoard SDK 0.2": {
        "mpy_bytes": 11352,
        "import_heap": 24448,
        "smallest_heap": 34814,
        "kept_us": 44002,
        "fresh_us": 220035,
    },
}
"""Not measured here: what was measured once, on another day and machine, of what no package
registry has. The units are those of `board.bench.Costs`."""


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: with its version.
        client: how it sends.
        mpy_bytes: of its modules; None for what the firmware has frozen.
    """

    name: str
    client: Client
    mpy_bytes: int | None


def fetched_subjects(folder: Path, port: int) -> tuple[list[Subject], dict[str, str]]:
    """Fetch peers from the package registry.

    Args:
        folder: where to put them.
        port: of the broker on this machine that they shall publish to.

    Returns:
        Those that could be had, and why the others could not.
    """
    found = []
    missing = {}
    for name, packages in _ON_PYPI.items():
        try:
            modules = folder / name.partition(" ")[0]
            for package in packages:
                _fetch(package, modules)
        except OSError as err:
            missing[name] = str(err)
        else:
            mpy_bytes = sum(path.stat().st_size for path in modules.rglob("*.mpy"))
            found.append(_umqtt_subject(name, modules, port, mpy_bytes))
    return found, missing


def _umqtt_subject(name: str, modules: Path, port: int, mpy_bytes: int) -> Subject:
    if name.startswith("uthingsboard"):
        imports = "from uthingsboard.client import TBDeviceMqttClient"
        make = f"TBDeviceMqttClient('127.0.0.1', {port}, {TOKEN!r}, qos=1)"
        send = f"client.send_telemetry({READING}, qos=1)"
    else:
        imports = f"from {name.partition(' ')[0]} import MQTTClient"
        make = f"MQTTClient('bench', '127.0.0.1', {port})"
        send = f"client.publish({TOPIC.encode()!r}, {MESSAGE!r}, qos=1)"
    client = Client(
        modules,
        imports,
        connect=f"client = {make}\nclient.connect()",
        send=send,
        close="client.disconnect()",
    )
    return Subject(name, client, mpy_bytes)


def _fetch(package: str, modules: Path) -> None:
    """Compile a package's modules into a folder.

    Raises:
        OSError: it is not to be had.
    """
    cache = modules.parent / f"{package}.cache"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("uv"),
            *("pip", "install", "--no-deps", "--target", cache / "target"),
            *("--cache-dir", cache, package),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    sources = [
        path
        for path in cache.glob("sdists-*/**/src/**/*.py")
        # A link in one of them leads nowhere.
        if path.parent.name in ("umqtt", "uthingsboard") and path.is_file()
    ]
    if not sources:
        raise OSError(f"the registry did not give it: {done.stderr.strip()[-200:]}")
    for source in sources:
        inside = source.parts[source.parts.index("src") + 1 :]
        compiled = modules.joinpath(*inside).with_suffix(".mpy")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        cross_compile(source, compiled, "/".join(inside))
