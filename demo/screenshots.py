"""Take the pictures of the docs, on the way that a newcomer takes and on later ones."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
import sys
import tempfile

from playwright.async_api import Browser, ViewportSize

from . import newcomer as walk, upkeep
from .board import simulated_board
from .browser import PHONE, Album, chromium, open_page
from .home_assistant import home_assistant
from .house import CHANGING, LABEL, LABELLED
from .moves import move
from .newcomer import Newcomer
from .processes import ROOT, StartError
from .server import Server, server

_IMAGES = ROOT / "docs" / "images"
# High enough for a form, and for one with all its sections, in one piece.
_DESK: ViewportSize = {"width": 1280, "height": 1000}
_HIGH_DESK: ViewportSize = {"width": 1280, "height": 2700}
# So that the charts have something to show.
_RUN_S = 60


async def _take_all() -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sensorvision = await stack.enter_async_context(server(folder))
        house = await stack.enter_async_context(home_assistant(folder))
        await stack.enter_async_context(simulated_board(folder, sensorvision))
        await house.label(LABEL, [*LABELLED, *CHANGING])
        browser = await stack.enter_async_context(chromium())
        mover = asyncio.create_task(move(house))
        stack.callback(mover.cancel)
        album = Album(_IMAGES)
        page = await open_page(browser, _DESK)
        newcomer = Newcomer(page, house, album)
        await walk.log_in(newcomer)
        await walk.find_integration(newcomer)
        await walk.be_warned_of_clear_text(newcomer)
        await walk.enter_wrong_token(newcomer, sensorvision)
        await walk.enter_right_token(newcomer, sensorvision)
        await walk.choose_by_label(newcomer, len(CHANGING) + len(LABELLED))
        await walk.look_at_preview(newcomer)
        await walk.finish(newcomer)
        await walk.look_at_integration(newcomer)
        await walk.look_at_service(newcomer)
        await asyncio.sleep(_RUN_S)
        await _show_server(browser, sensorvision, album)
        await upkeep.look_at_connection(newcomer)
        await page.set_viewport_size(_HIGH_DESK)
        await upkeep.look_at_mirror(newcomer)
        await upkeep.connect_broker(newcomer, sensorvision)
        await upkeep.choose_options(newcomer)
        await page.set_viewport_size(_DESK)
        await upkeep.send(
            newcomer, "garden", {"soil_moisture": 42.5, "rain_today": 1.4}
        )
        await upkeep.look_at_status(newcomer)
        await upkeep.replace_token(newcomer, sensorvision)
        await upkeep.repair_mirror(newcomer)


async def _show_server(browser: Browser, sensorvision: Server, album: Album) -> None:
    """Picture the server's page, on a desk by day and on a phone by night."""
    desk = await open_page(browser, _DESK)
    await walk.look_at_server(desk, sensorvision)
    await album.take("server", desk)
    phone = await open_page(browser, PHONE)
    await phone.emulate_media(color_scheme="dark")
    await walk.look_at_server(phone, sensorvision)
    await album.take("server-on-a-phone", phone)


def main() -> int:
    """Take all pictures and return an exit code."""
    try:
        asyncio.run(_take_all())
    except StartError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
