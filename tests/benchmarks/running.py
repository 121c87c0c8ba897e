"""Run a bench as a command."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent.parent


def lines_of(*arguments: str) -> list[dict[str, Any]]:
    """Return what a bench prints, line by line; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
