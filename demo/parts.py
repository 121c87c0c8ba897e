"""Make sure that the parts are the real ones."""

from importlib.metadata import version
import re

from .home_assistant import HomeAssistantApi
from .processes import StartError


async def require_home_assistant(house: HomeAssistantApi) -> str:
    """Return the version of the running core, which must be the installed one.

    Raises:
        StartError: it is something else.
    """
    core: str = (await house.get("/api/config"))["version"]
    if core != version("homeassistant"):
        raise StartError(f"This is not the installed Home Assistant: {core!r}")
    return core


def require_micropython(line: str) -> str:
    """Return the version of MicroPython that a board's first line tells.

    The board takes it from `sys.implementation`.

    Raises:
        StartError: it is something else.
    """
    found = re.search(r" on micropython (\d+\.\d+\.\d+)", line)
    if found is None:
        raise StartError(f"This is not MicroPython: {line!r}")
    return found.group(1)
