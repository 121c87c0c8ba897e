"""Run a proof as its command does."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent.parent


def prove(*arguments: str, timeout_s: float) -> dict[str, Any]:
    """Run a proof, which must hold, and return its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "proofs", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return verdict
