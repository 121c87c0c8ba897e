"""A real browser, and the pictures that are taken in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import os
from pathlib import Path
import shutil
import time

from playwright.async_api import (
    Browser,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from .processes import StartError

DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

# The same names are looked for in scripts/setup.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What takes longer on a slow and busy machine is broken.
_WAIT_MS = 60_000
_REST_S = 5


def executable() -> str:
    """Return the path of Chromium, which the variable CHROMIUM may name.

    Raises:
        StartError: there is none.
    """
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else _NAMES
    for name in names:
        if path := shutil.which(name):
            return path
    raise StartError(
        f"There is no Chromium here: looked for {', '.join(names)}. Install Chromium or"
        " Google Chrome, or set the environment variable CHROMIUM to its path."
    )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser without windows until the block ends.

    Raises:
        StartError: there is no Chromium.
    """
    path = executable()
    expect.set_options(timeout=_WAIT_MS)
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=path, args=_OPTIONS, timeout=_WAIT_MS
        ) as browser,
    ):
        yield browser


async def open_page(browser: Browser, size: ViewportSize) -> Page:
    """Open an empty page, in a session of its own, that is given time for everything."""
    page = await browser.new_page(viewport=size)
    page.set_default_timeout(_WAIT_MS)
    return page


class Album:
    """Pictures in a folder, each named after what it shows.

    Args:
        folder: where they are kept; it is made.
    """

    def __init__(self, folder: Path) -> None:
        """Keep pictures in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    async def take(self, name: str, what: Page | Locator) -> None:
        """Take a picture of a page, or of a part of it, as soon as it has come to rest."""
        deadline = time.monotonic() + _REST_S
        shot = await what.screenshot(animations="disabled")
        while shot != (again := await what.screenshot(animations="disabled")):
            shot = again
            if time.monotonic() > deadline:
                break
        (self._folder / f"{name}.png").write_bytes(again)
