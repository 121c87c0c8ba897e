"""Walk through the real frontend as a newcomer does, and keep pictures for the docs."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
import shutil
import sys
import tempfile

from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from .board import simulated_board
from .home_assistant import PASSWORD, USERNAME, HomeAssistantApi, home_assistant
from .house import CHANGING, LABEL, LABELLED
from .moves import move
from .processes import ROOT, StartError
from .server import Server, server

_IMAGES = ROOT / "docs" / "images"
_DESK: ViewportSize = {"width": 1280, "height": 800}
_PHONE: ViewportSize = {"width": 390, "height": 844}
_RUN_S = 60

DOMAIN = "sensorvision"
_WRONG_TOKEN = "99999999-9999-4999-8999-999999999999"  # noqa: S105

_BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


async def _walk() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise StartError("There is no Chromium here. Install the package chromium.")
    _IMAGES.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sensorvision = await stack.enter_async_context(server(folder))
        house = await stack.enter_async_context(home_assistant(folder))
        await stack.enter_async_context(simulated_board(folder, sensorvision))
        await house.label(LABEL, [*LABELLED, *CHANGING])
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=_BROWSER_OPTIONS
        )
        stack.push_async_callback(browser.close)
        mover = asyncio.create_task(move(house))
        stack.callback(mover.cancel)
        page = await browser.new_page(viewport=_DESK)
        await _log_in(page, house.url)
        await _connect(page, house.url, sensorvision)
        await _mirror_by_label(page)
        # So that the charts have something to show.
        await asyncio.sleep(_RUN_S)
        await _show_integration(page, house)
        await _show_server(browser, sensorvision.url)


async def _log_in(page: Page, url: str) -> None:
    await page.goto(url)
    await page.locator("input[name=username]").fill(USERNAME)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/home/**")


async def _connect(page: Page, url: str, sensorvision: Server) -> None:
    """Add the integration, first with a wrong token."""
    await page.goto(f"{url}/config/integrations/dashboard/add?domain={DOMAIN}")
    await page.get_by_role("button", name="OK").click()
    await expect(page.get_by_text("With an account")).to_be_visible()
    await _picture(page, "connect")
    await page.get_by_text("With a key").click()
    await page.locator("input[name=url]").fill(sensorvision.url)
    await page.locator("input[name=api_key]").fill(_WRONG_TOKEN)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("neither as a device token")).to_be_visible()
    await _picture(page, "connect-wrong-token")
    await page.locator("input[name=api_key]").fill(sensorvision.token)
    await page.get_by_role("button", name="Submit").click()


async def _mirror_by_label(page: Page) -> None:
    """Fill in the mirror that is offered next."""
    await page.locator("input[name=name]").fill("Greenhouse and garden")
    await page.get_by_role("button", name="Add target").click()
    await page.get_by_role("textbox").last.fill(LABEL)
    await page.get_by_text(LABEL, exact=True).last.click()
    await expect(page.get_by_text("8 entities")).to_be_visible()
    await _picture(page, "mirror")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("Preview of Greenhouse and garden")).to_be_visible()
    await _picture(page, "preview")
    await page.get_by_text("Save", exact=True).click()
    await page.get_by_role("button", name="Finish").click()


async def _show_integration(page: Page, house: HomeAssistantApi) -> None:
    await page.goto(f"{house.url}/config/integrations/integration/{DOMAIN}")
    await expect(page.get_by_text("Greenhouse and garden")).to_be_visible()
    await _picture(page, "integration")
    service_id = next(
        device["id"]
        for device in await house.command("config/device_registry/list")
        if device["manufacturer"] == "SensorVision"
    )
    await page.goto(f"{house.url}/config/devices/device/{service_id}")
    await expect(page.get_by_text("Last delivered").first).to_be_visible()
    await _picture(page, "entities")


async def _show_server(browser: Browser, url: str) -> None:
    """Picture the server's page, on a desk by day and on a phone by night."""
    desk = await browser.new_page(viewport=_DESK)
    await desk.goto(url)
    await desk.get_by_text("greenhouse_temperature").first.wait_for()
    await _picture(desk, "server")
    phone = await browser.new_page(viewport=_PHONE, color_scheme="dark")
    await phone.goto(url)
    await phone.get_by_text("greenhouse_temperature").first.wait_for()
    await _picture(phone, "server-on-a-phone")


async def _picture(page: Page, name: str) -> None:
    # Transitions and charts come to rest.
    await page.wait_for_timeout(1500)
    await page.screenshot(path=_IMAGES / f"{name}.png")


def main() -> int:
    """Take all pictures and return an exit code."""
    try:
        asyncio.run(_walk())
    except StartError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
