"""What a newcomer does in the real frontend, step by step, and must see on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
import re

from playwright.async_api import Locator, Page, expect

from .browser import Album
from .home_assistant import PASSWORD, USERNAME, HomeAssistantApi
from .house import LABEL
from .server import Server

MIRROR = "Greenhouse and garden"
DOMAIN = "sensorvision"
# What the integration calls a server that runs here.
SERVER = "127.0.0.1"

_WRONG_TOKEN = "99999999-9999-4999-8999-999999999999"  # noqa: S105


@dataclass(frozen=True)
class Newcomer:
    """Someone in front of a browser, with a camera.

    Attributes:
        page: shows Home Assistant.
        house: the Home Assistant that it shows.
        album: keeps the pictures.
    """

    page: Page
    house: HomeAssistantApi
    album: Album


@dataclass(frozen=True)
class PreviewRow:
    """A reading as the preview shows it.

    Attributes:
        name: of the entity.
        value: with its unit.
        variable: on the server.
        device_id: on the server.
    """

    name: str
    value: str
    variable: str
    device_id: str


def dialog(page: Page) -> Locator:
    """Return the frame of the dialog in which a flow asks."""
    return page.locator("dialog-data-entry-flow dialog[open]")


async def log_in(newcomer: Newcomer) -> None:
    """Log in as the owner."""
    page = newcomer.page
    await page.goto(newcomer.house.url)
    await page.locator("input[name=username]").fill(USERNAME)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/home/**")


async def find_integration(newcomer: Newcomer) -> None:
    """Find the integration among all that there are, and choose to connect with a key."""
    page = newcomer.page
    await page.goto(f"{newcomer.house.url}/config/integrations/dashboard")
    await page.get_by_role("button", name="Add integration").click()
    await page.get_by_placeholder("Search for a brand name").fill("sensorvision")
    await page.get_by_text("SensorVision", exact=True).click()
    await expect(page.get_by_text("How do you want to connect?")).to_be_visible()
    await expect(page.get_by_text("With an account")).to_be_visible()
    await newcomer.album.take("connect", dialog(page))
    await page.get_by_text("With a key").click()


async def be_warned_of_clear_text(newcomer: Newcomer) -> None:
    """Enter a public server without encryption, be asked first, and go back."""
    page = newcomer.page
    await expect(page.get_by_text("Connect SensorVision with a key")).to_be_visible()
    await newcomer.album.take("key", dialog(page))
    await page.locator("input[name=url]").fill("http://sensors.example.org")
    await page.locator("input[name=api_key]").fill(_WRONG_TOKEN)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("Connect without encryption?")).to_be_visible()
    await newcomer.album.take("clear-text", dialog(page))
    await page.get_by_text("Change the URL").click()
    await expect(page.locator("input[name=url]")).to_be_visible()


async def enter_wrong_token(newcomer: Newcomer, sensorvision: Server) -> None:
    """Enter a token that the server does not know, and be told so beside its field."""
    page = newcomer.page
    await page.locator("input[name=url]").fill(sensorvision.url)
    await page.locator("input[name=api_key]").fill(_WRONG_TOKEN)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator("ha-alert")).to_have_count(1)
    await expect(page.locator("ha-alert")).to_contain_text(
        "The server knows this neither as a device token nor as a user key."
    )
    # Right above its field, and nowhere else.
    await expect(page.locator("ha-alert + * input[name=api_key]")).to_be_visible()
    await newcomer.album.take("connect-wrong-token", dialog(page))


async def enter_right_token(newcomer: Newcomer, sensorvision: Server) -> None:
    """Enter the right token, read what it can do, and be offered a mirror next."""
    page = newcomer.page
    await page.locator("input[name=api_key]").fill(sensorvision.token)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("Connected with a device token")).to_be_visible()
    await newcomer.album.take("connected", dialog(page))
    await page.get_by_role("button", name="Choose what to mirror").click()
    await expect(page.locator("input[name=name]")).to_be_visible()
    await expect(page.get_by_text("Choose what to mirror")).to_be_visible()


async def choose_by_label(newcomer: Newcomer, entities: int) -> None:
    """Choose a label to mirror, and be told how many entities carry it."""
    page = newcomer.page
    await page.locator("input[name=name]").fill(MIRROR)
    await page.get_by_role("button", name="Add target").click()
    await page.get_by_role("textbox").last.fill(LABEL)
    await page.get_by_text(LABEL, exact=True).last.click()
    await expect(page.get_by_text(f"{entities} entities")).to_be_visible()
    await newcomer.album.take("mirror", dialog(page))
    await page.get_by_role("button", name="Submit").click()


async def look_at_preview(newcomer: Newcomer) -> list[PreviewRow]:
    """See what would be sent, row by row, and go on to save the mirror."""
    page = newcomer.page
    await expect(page.get_by_text(f"Preview of {MIRROR}")).to_be_visible()
    await newcomer.album.take("preview", dialog(page))
    rows = [
        PreviewRow(
            *"\n".join(await row.get_by_role("cell").all_inner_texts()).split("\n")
        )
        for row in await page.locator("ha-markdown tbody tr").all()
    ]
    await page.get_by_text("Save", exact=True).click()
    return rows


async def finish(newcomer: Newcomer) -> None:
    """Close the last dialog."""
    await newcomer.page.get_by_role("button", name="Finish").click()
    await expect(dialog(newcomer.page)).to_have_count(0)


async def open_integration(newcomer: Newcomer) -> None:
    """Open the integration's page."""
    page = newcomer.page
    await page.goto(f"{newcomer.house.url}/config/integrations/integration/{DOMAIN}")
    await expect(page.get_by_text(MIRROR, exact=True)).to_be_visible()


async def look_at_integration(newcomer: Newcomer) -> None:
    """See the mirror listed under its server."""
    await open_integration(newcomer)
    await newcomer.album.take("integration", newcomer.page)


async def look_at_service(newcomer: Newcomer) -> None:
    """Go on to the service's page, and see that it is connected and delivers."""
    page = newcomer.page
    await page.get_by_role("link", name="1 service").first.click()
    await expect(_row(page, "Connectivity")).to_contain_text("Connected")
    await expect(_row(page, "Last delivered")).to_contain_text(
        re.compile(r"second|minute")
    )
    await newcomer.album.take("entities", page)


async def read_states(newcomer: Newcomer, entity_ids: Iterable[str]) -> dict[str, str]:
    """Return the states that Home Assistant shows."""
    page = newcomer.page
    await page.goto(f"{newcomer.house.url}/config/tools/state")
    states = {}
    for entity_id in entity_ids:
        await page.get_by_role("textbox", name="Filter entities").fill(entity_id)
        link = page.get_by_role("link", name=entity_id, exact=True)
        row = page.get_by_role("row").filter(has=link)
        states[entity_id] = await row.get_by_role("cell").nth(1).inner_text()
    return states


async def look_at_server(page: Page, sensorvision: Server) -> None:
    """See on the server's own page that values arrive."""
    await page.goto(sensorvision.url)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.locator("article.card .plot-container").first).to_be_visible()


def value_on_server(page: Page, device_id: str, variable: str) -> Locator:
    """Return the number that the server's page shows for a variable."""
    device = page.locator("section.device").filter(
        has=page.get_by_role("heading", name=device_id, exact=True)
    )
    card = device.locator("article.card").filter(
        has=page.locator(".name").get_by_text(variable, exact=True)
    )
    return card.locator(".value")


def _row(page: Page, name: str) -> Locator:
    """Return what a device's page says of one of its entities."""
    return page.locator("hui-generic-entity-row").filter(has_text=name)
