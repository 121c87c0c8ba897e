"""What a person does later in the real frontend, step by step, and must see on the way."""

from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from custom_components.sensorvision.client import AsyncSensorVisionClient

from .house import LOCK
from .newcomer import DOMAIN, MIRROR, SERVER, Newcomer, dialog, open_integration
from .server import Server

BROKER = "Mosquitto"

_SECTIONS = ("More to include", "Leave out", "Values", "Sending")


async def look_at_connection(newcomer: Newcomer) -> None:
    """Look at the form that changes the connection, and leave it as it is."""
    page = newcomer.page
    await open_integration(newcomer)
    await page.locator("ha-config-entry-row ha-icon-button[slot=trigger]").first.click()
    await page.get_by_text("Reconfigure", exact=True).click()
    await expect(page.get_by_text("Change the connection")).to_be_visible()
    await page.get_by_text("With a key").click()
    await expect(
        page.get_by_text("Leave it empty to keep the one there is.")
    ).to_be_visible()
    await newcomer.album.take("reconfigure", dialog(page))
    await _close(page)


async def look_at_mirror(newcomer: Newcomer) -> None:
    """Look at all that a mirror can be told, and leave it as it is."""
    page = newcomer.page
    await open_integration(newcomer)
    mirror = page.locator("ha-config-sub-entry-row").filter(has_text=MIRROR)
    await mirror.locator("ha-icon-button[slot=end]").click()
    await expect(page.get_by_text("Change mirror")).to_be_visible()
    for section in _SECTIONS:
        await page.get_by_role("button", name=section, exact=True).click()
    await expect(page.get_by_text("All at once, every interval")).to_be_visible()
    await newcomer.album.take("mirror-sections", dialog(page))
    await _close(page)


async def connect_broker(newcomer: Newcomer, sensorvision: Server) -> None:
    """Connect the server's MQTT broker, over which mirrors can deliver then."""
    page, broker = newcomer.page, urlsplit(sensorvision.mqtt_url)
    await open_integration(newcomer)
    await page.get_by_role("button", name="Add MQTT broker").click()
    await page.locator("input[name=name]").fill(BROKER)
    await page.locator("input[name=host]").fill(broker.hostname or "")
    await page.locator("ha-selector-number input").fill(str(broker.port))
    await expect(page.get_by_text("Topic prefix").first).to_be_visible()
    await newcomer.album.take("broker", dialog(page))
    await page.get_by_role("button", name="Submit").click()
    row = page.locator("ha-config-sub-entry-row").filter(has_text=BROKER)
    await expect(row).to_be_visible()
    await _close(page)


async def choose_options(newcomer: Newcomer) -> None:
    """Let every batch be written at once."""
    page = newcomer.page
    await open_integration(newcomer)
    await page.get_by_role("button", name="Configure").first.click()
    await expect(page.get_by_text("Seconds between writes")).to_be_visible()
    await page.locator("ha-selector-number input").first.fill("0")
    await newcomer.album.take("options", dialog(page))
    await page.get_by_role("button", name="Submit").click()
    await _close(page)


async def send(newcomer: Newcomer, device_id: str, readings: dict[str, float]) -> None:
    """Send readings of any device with the action."""
    page = newcomer.page
    await _open_action(newcomer, "send")
    await page.locator("ha-selector-text input").fill(device_id)
    await page.locator("ha-code-editor .cm-content").fill(
        "\n".join(f"{variable}: {number}" for variable, number in readings.items())
    )
    await _choose_server(page)
    await newcomer.album.take("action-send", page.locator("tools-action ha-card"))
    await page.get_by_role("button", name="Perform action").click()


async def look_at_status(newcomer: Newcomer) -> None:
    """Ask for the status with the action."""
    page = newcomer.page
    await _open_action(newcomer, "status")
    await _choose_server(page)
    await page.get_by_role("button", name="Perform action").click()
    response = page.locator("tools-action ha-card").filter(has_text="Response")
    await expect(response).to_contain_text("connected: true")
    await newcomer.album.take("action-status", response)


async def look_at_system_information(newcomer: Newcomer) -> None:
    """Look at what Home Assistant says about the integration's health."""
    page = newcomer.page
    await page.goto(f"{newcomer.house.url}/config/repairs")
    await page.get_by_role("button", name="Menu").last.click()
    await page.get_by_text("System information").click()
    await expect(page.get_by_role("row", name="Servers answer")).to_contain_text("ok")


async def replace_token(newcomer: Newcomer, sensorvision: Server) -> None:
    """Rotate the token on the server, be asked for another one, and give it."""
    async with AsyncSensorVisionClient(
        sensorvision.url,
        username=sensorvision.username,
        password=sensorvision.password,
    ) as client:
        token = await client.rotate_token(sensorvision.device_id)
    page = newcomer.page
    await page.goto(f"{newcomer.house.url}/config/integrations/dashboard")
    await page.get_by_role("button", name="Reconfigure").click()
    await expect(page.get_by_text("Give SensorVision another key")).to_be_visible()
    await newcomer.album.take("reauthenticate", dialog(page))
    await page.locator("input[name=api_key]").fill(token)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("Re-authentication was successful")).to_be_visible()


async def repair_mirror(newcomer: Newcomer) -> None:
    """Delete a label that a mirror follows among others, and let the repair take it out."""
    page, house = newcomer.page, newcomer.house
    label_id = await house.label("Workshop", [])
    target = {"label_id": [label_id], "entity_id": [LOCK]}
    await house.add_mirror({"name": "Doors", "target": target})
    await house.command("config/label_registry/delete", label_id=label_id)
    await page.goto(f"{house.url}/config/repairs")
    issue = page.get_by_text("Something that Doors mirrors no longer exists")
    await issue.click()
    await expect(page.get_by_text("Everything else is mirrored.")).to_be_visible()
    await newcomer.album.take("repair", page.locator("dialog[open]"))
    await page.get_by_role("button", name="Submit").click()
    await expect(issue).to_have_count(0)


async def _open_action(newcomer: Newcomer, action: str) -> None:
    """Open the form of an action."""
    await newcomer.page.goto(
        f"{newcomer.house.url}/config/tools/action?service={DOMAIN}.{action}"
    )


async def _choose_server(page: Page) -> None:
    picker = page.locator("ha-config-entry-picker")
    await picker.click()
    await page.get_by_text(SERVER, exact=True).last.click()
    await expect(picker).to_contain_text(SERVER)


async def _close(page: Page) -> None:
    """Close a dialog, so that what it asks for is asked for no longer."""
    flow = page.locator("dialog-data-entry-flow")
    await flow.get_by_role("button", name="Close").click()
    await expect(dialog(page)).to_have_count(0)
