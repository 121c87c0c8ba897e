"""A real Home Assistant, driven through the API that its own frontend uses."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
import json
from pathlib import Path
import time
from typing import Any

import aiohttp

from .house import furnish
from .processes import StartError, free_port, running

USERNAME = "demo"
PASSWORD = "demo-password"  # noqa: S105 - of a server on loopback that lives for minutes

_START_TIMEOUT_S = 120
_FLOWS = "/api/config/config_entries"


class HomeAssistantApi:
    """Talk to a running Home Assistant as the signed-in owner.

    Args:
        url: where it serves.
        session: carries the access token.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """Use a session that is signed in."""
        self.url = url
        self._session = session

    async def get(self, path: str) -> Any:
        """Return the JSON behind a path of the REST API."""
        async with self._session.get(f"{self.url}{path}") as response:
            response.raise_for_status()
            return await response.json()

    async def post(self, path: str, data: dict[str, Any]) -> Any:
        """Post JSON to a path of the REST API and return what it answers."""
        async with self._session.post(f"{self.url}{path}", json=data) as response:
            response.raise_for_status()
            return await response.json()

    async def command(self, command_type: str, **arguments: Any) -> Any:
        """Send one websocket command and return its result."""
        async with self._session.ws_connect(f"{self.url}/api/websocket") as socket:
            await socket.receive_json()
            token = self._session.headers["Authorization"].removeprefix("Bearer ")
            await socket.send_json({"type": "auth", "access_token": token})
            await socket.receive_json()
            await socket.send_json({"id": 1, "type": command_type, **arguments})
            answer = await socket.receive_json()
        if not answer["success"]:
            raise RuntimeError(f"{command_type}: {answer['error']['message']}")
        return answer["result"]

    async def call_action(self, domain: str, action: str, entity_id: str) -> None:
        """Perform an action on an entity."""
        await self.post(f"/api/services/{domain}/{action}", {"entity_id": entity_id})

    async def label(self, name: str, entity_ids: Iterable[str]) -> str:
        """Make a label, put it on entities of the registry and return its id."""
        label = await self.command(
            "config/label_registry/create", name=name, icon="mdi:cloud-upload"
        )
        label_id: str = label["label_id"]
        for entity_id in entity_ids:
            await self.command(
                "config/entity_registry/update", entity_id=entity_id, labels=[label_id]
            )
        return label_id

    async def add_integration(
        self, connection: dict[str, Any], mirror: dict[str, Any]
    ) -> str:
        """Connect a server and add the mirror that is offered next, as the UI does.

        Args:
            connection: what the form of a key asks for, or that of an account.
            mirror: what the form of a mirror asks for.

        Returns:
            The config entry's id.

        Raises:
            StartError: a step was refused.
        """
        menu = await self.post(f"{_FLOWS}/flow", {"handler": "sensorvision"})
        flow = f"{_FLOWS}/flow/{menu['flow_id']}"
        step_id = "account" if "username" in connection else "key"
        await self.post(flow, {"next_step_id": step_id})
        connected = await self.post(flow, connection)
        if not str(connected.get("step_id")).startswith("connected"):
            raise StartError(f"Home Assistant refused the connection: {connected}")
        entry = await self.post(flow, {})
        _, mirror_flow_id = entry["next_flow"]
        await self._save_mirror(mirror_flow_id, mirror)
        entry_id: str = entry["result"]["entry_id"]
        return entry_id

    async def add_mirror(self, mirror: dict[str, Any]) -> None:
        """Add a mirror to the server that is connected, as the UI does.

        Raises:
            StartError: it was refused.
        """
        await self._save_mirror(await self._add("mirror"), mirror)

    async def add_broker(self, broker: dict[str, Any]) -> str:
        """Add a broker to the server that is connected, as the UI does.

        Args:
            broker: what its form asks for.

        Returns:
            The subentry's id.

        Raises:
            StartError: it was refused.
        """
        flow_id = await self._add("broker")
        added = await self.post(f"{_FLOWS}/subentries/flow/{flow_id}", broker)
        if added["type"] != "create_entry":
            raise StartError(f"Home Assistant refused the broker: {added}")
        entry_id = await self._entry_id()
        subentries = await self.command(
            "config_entries/subentries/list", entry_id=entry_id
        )
        [broker_id] = (
            subentry["subentry_id"]
            for subentry in subentries
            if subentry["subentry_type"] == "broker"
        )
        return str(broker_id)

    async def choose_options(self, options: dict[str, Any]) -> None:
        """Choose options of the server that is connected, as the UI does.

        Raises:
            StartError: they were refused.
        """
        flow = await self.post(
            f"{_FLOWS}/options/flow", {"handler": await self._entry_id()}
        )
        chosen = await self.post(f"{_FLOWS}/options/flow/{flow['flow_id']}", options)
        if chosen["type"] != "create_entry":
            raise StartError(f"Home Assistant refused the options: {chosen}")

    async def _add(self, subentry_type: str) -> str:
        """Begin to add something to the server that is connected."""
        handler = [await self._entry_id(), subentry_type]
        flow = await self.post(f"{_FLOWS}/subentries/flow", {"handler": handler})
        return str(flow["flow_id"])

    async def _entry_id(self) -> str:
        entries = await self.get("/api/config/config_entries/entry?domain=sensorvision")
        return str(entries[0]["entry_id"])

    async def _save_mirror(self, flow_id: str, mirror: dict[str, Any]) -> None:
        flow = f"{_FLOWS}/subentries/flow/{flow_id}"
        preview = await self.post(flow, mirror)
        if preview["type"] != "menu":
            raise StartError(f"Home Assistant refused the mirror: {preview}")
        await self.post(flow, {"next_step_id": "save"})


@asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[HomeAssistantApi]:
    """Run a fresh Home Assistant with its demo house until the block ends.

    Args:
        folder: takes its configuration folder and its log.

    Raises:
        StartError: it ended at once, or did not serve in time.
    """
    port = free_port()
    config_dir = folder / "homeassistant"
    furnish(config_dir, port)
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "homeassistant", "-c", str(config_dir), "--skip-pip"]
    log = folder / "homeassistant.log"
    async with running(command, log) as process:
        async with aiohttp.ClientSession() as session:
            await wait_until_served(process, session, url, log)
            token = await onboard(session, url)
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            api = HomeAssistantApi(url, session)
            await wait_until_running(api)
            yield api


async def wait_until_served(
    process: asyncio.subprocess.Process,
    session: aiohttp.ClientSession,
    url: str,
    log: Path,
) -> None:
    """Wait until a Home Assistant answers.

    Args:
        process: runs it.
        session: to ask with.
        url: where it serves.
        log: of the process, to name if it does not answer.

    Raises:
        StartError: it ended at once, or did not serve in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise StartError(f"Home Assistant ended at once. Its log is {log}")
        try:
            async with session.get(f"{url}/api/onboarding") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise StartError(f"Home Assistant did not serve in time. Its log is {log}")


async def wait_until_running(api: HomeAssistantApi) -> None:
    """Wait until a Home Assistant that answers has set everything up.

    Raises:
        StartError: it has not in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while (await api.get("/api/config"))["state"] != "RUNNING":
        if time.monotonic() > deadline:
            raise StartError("Home Assistant did not finish its start in time")
        await asyncio.sleep(0.2)


async def onboard(session: aiohttp.ClientSession, url: str) -> str:
    """Make the owner's account, and return a token that lasts for the demo."""
    client_id = f"{url}/"
    account = {
        "name": "Demo",
        "username": USERNAME,
        "password": PASSWORD,
        "client_id": client_id,
        "language": "en",
    }
    async with session.post(f"{url}/api/onboarding/users", json=account) as response:
        response.raise_for_status()
        auth_code = (await response.json())["auth_code"]
    form = {
        "grant_type": "authorization_code",
        "code": auth_code,
        "client_id": client_id,
    }
    async with session.post(f"{url}/auth/token", data=form) as response:
        response.raise_for_status()
        short_lived = (await response.json())["access_token"]
    headers = {"Authorization": f"Bearer {short_lived}"}
    async with aiohttp.ClientSession(headers=headers) as signed_in:
        token: str = await HomeAssistantApi(url, signed_in).command(
            "auth/long_lived_access_token", client_name="demo", lifespan=1
        )
        return token


def stored_names(folder: Path, entry_id: str) -> dict[str, list[str]]:
    """Return device id and variable by entity key, as the integration stored them."""
    path = folder / "homeassistant" / ".storage" / f"sensorvision.{entry_id}.names"
    names: dict[str, list[str]] = json.loads(path.read_text())["data"]["variables"]
    return names
