"""Tell which build of the client this is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import platform

__version__ = "0.1.0"

# `git archive` writes the commit here, and a wheel is built from such an archive.
_COMMIT = "$Format:%h$"

REVISION = "unknown" if _COMMIT.startswith("$") else _COMMIT
"""The commit that this was built from, abbreviated, or "unknown" in a checkout."""


@dataclass(frozen=True)
class BuildInfo:
    """What to tell whoever looks for a fault.

    Attributes:
        version: of the client, as of semver.org.
        revision: the commit that it was built from, or "unknown".
        python: version of the interpreter, such as `3.14.2`.
        implementation: of the interpreter, such as `CPython`.
    """

    version: str
    revision: str
    python: str
    implementation: str


def build_info() -> BuildInfo:
    """Tell the version of the client and of what runs it."""
    return BuildInfo(
        __version__,
        REVISION,
        platform.python_version(),
        platform.python_implementation(),
    )


@lru_cache(maxsize=1)
def user_agent() -> str:
    """Return what requests say of their sender, as of RFC 9110, section 10.1.5."""
    info = build_info()
    return f"sensorvision/{info.version} ({info.revision}) {info.implementation}/{info.python}"
