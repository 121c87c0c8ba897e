"""Users manage devices and variables, and read back what is stored."""

from collections.abc import AsyncIterator, Awaitable, Callable
import datetime as dt
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    CapabilityError,
    DeviceError,
    DeviceExistsError,
    NotSensorVisionError,
    PermissionDeniedError,
    Sample,
    ServerError,
    TokenExistsError,
    ValidationError,
    Value,
    Variable,
)
from custom_components.sensorvision.client.models import format_instant, parse_instant
from sandbox import Mode, Sandbox, Settings
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD

from .servers import TOKEN, http_answer, scripted

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)

type Client = AsyncSensorVisionClient


@pytest.fixture
async def account(sandbox: Sandbox) -> AsyncIterator[Client]:
    """Open a client with alice's password."""
    async with AsyncSensorVisionClient(
        sandbox.url, username="alice", password=ALICE_PASSWORD
    ) as client:
        yield client


@pytest.fixture
async def variable(account: Client) -> Variable:
    """Store three values of a variable, and return it."""
    results = await account.send_batch(
        Sample("dev-a", {"room_temp": 20.5 + n}, NOON + n * SECOND) for n in range(3)
    )
    assert all(result.is_delivered for result in results)
    (found,) = await account.variables("dev-a")
    return found


async def test_device_is_registered_with_its_details(
    sandbox: Sandbox, account: Client
) -> None:
    """As people call it, and where it is."""
    made = await account.register_device(
        "lamp", name="Lamp", location="Kitchen", sensor_type="L-1", firmware_version="2"
    )
    assert (made.device_id, made.name, made.location) == ("lamp", "Lamp", "Kitchen")
    assert (made.sensor_type, made.firmware_version) == ("L-1", "2")
    assert made.last_seen_at is None
    assert made == await account.device("lamp")
    assert made in await account.devices()
    assert [device.device_id for device in await account.devices()].count("dev-b") == 0


async def test_post_makes_a_device_with_the_details_that_are_known_of_it(
    sandbox: Sandbox,
) -> None:
    """As people call it, and where it is; one that is there stays as it is."""
    asked: list[str] = []

    def details_of_new(device_id: str) -> dict[str, str]:
        asked.append(device_id)
        return {"name": "Lamp", "location": "Kitchen"}

    async with AsyncSensorVisionClient(
        sandbox.url,
        username="alice",
        password=ALICE_PASSWORD,
        details_of_new=details_of_new,
    ) as client:
        await client.send_data("lamp", {"power": 5})
        await client.send_data("dev-a", {"power": 5})
        made = await client.device("lamp")
        assert (made.name, made.location) == ("Lamp", "Kitchen")
        assert (await client.device("dev-a")).name != "Lamp"
    assert asked == ["lamp"]


async def test_device_that_was_listed_shows_its_variables_in_one_request(
    sandbox: Sandbox, account: Client, variable: Variable
) -> None:
    """Its id in the database is known then."""
    device = await account.device("dev-a")
    before = len(sandbox.requests)
    assert await account.variables(device) == [variable]
    assert len(sandbox.requests) == before + 1


async def test_registering_twice_changes_nothing(account: Client) -> None:
    """A lost answer may be asked for again."""
    first = await account.register_device("lamp", name="Lamp")
    assert await account.register_device("lamp", name="Other") == first


async def test_device_is_updated_in_what_is_given(account: Client) -> None:
    """And keeps the rest."""
    await account.register_device("lamp", name="Lamp", location="Kitchen")
    changed = await account.update_device("lamp", location="Küche", description="Old")
    assert (changed.name, changed.location) == ("Lamp", "Küche")
    assert changed.description == "Old"


async def test_device_is_unregistered(sandbox: Sandbox, account: Client) -> None:
    """With all that it had."""
    await account.unregister_device("dev-a")
    assert sandbox.store.device("dev-a") is None
    with pytest.raises(DeviceError):
        await account.device("dev-a")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.device("dev-b"),
        lambda client: client.register_device("dev-b"),
        lambda client: client.update_device("dev-b", name="Mine"),
        lambda client: client.unregister_device("dev-b"),
        lambda client: client.variables("dev-b"),
        lambda client: client.latest_values("dev-b"),
        lambda client: client.create_token("dev-b"),
        lambda client: client.rotate_token("dev-b"),
    ],
)
async def test_foreign_device_is_refused(
    sandbox: Sandbox, account: Client, ask: Callable[[Client], Awaitable[object]]
) -> None:
    """Whatever is asked of it."""
    with pytest.raises(PermissionDeniedError):
        await ask(account)
    assert sandbox.store.device("dev-b")


async def test_device_that_is_there_is_not_added_again(
    account: Client,
) -> None:
    """Of whatever organisation it is."""
    added = await account.add_device("new-one", name="New one")
    assert (added.device_id, added.name) == ("new-one", "New one")
    for device_id in ("new-one", "dev-b"):
        with pytest.raises(DeviceExistsError, match="choose another device id"):
            await account.add_device(device_id)


async def test_token_is_made_only_where_there_is_none(
    sandbox: Sandbox, account: Client
) -> None:
    """A token in use is never replaced unasked."""
    with pytest.raises(TokenExistsError, match="rotate it"):
        await account.create_token("dev-a")
    device = sandbox.store.device("dev-a")
    assert device
    assert device.api_token == TOKEN
    sandbox.store.update_device(device, api_token=None)
    token = await account.create_token("dev-a")
    async with AsyncSensorVisionClient(sandbox.url, api_key=token) as client:
        await client.send_data("dev-a", {"a": 1})


async def test_token_is_rotated_when_asked(sandbox: Sandbox, account: Client) -> None:
    """The old one is void at once."""
    token = await account.rotate_token("dev-a")
    device = sandbox.store.device("dev-a")
    assert device
    assert device.api_token == token != TOKEN


async def test_variable_is_shown_and_named(account: Client, variable: Variable) -> None:
    """The only way to give it a unit."""
    assert (variable.name, variable.device_id) == ("room_temp", "dev-a")
    assert variable.last_value == 22.5
    assert variable.last_value_at == NOON + 2 * SECOND
    changed = await account.update_variable(
        variable, display_name="Room", unit="°C", decimal_places=1
    )
    assert (changed.display_name, changed.unit) == ("Room", "°C")
    assert changed.decimal_places == 1
    assert [changed] == await account.variables("dev-a")


async def test_values_are_read_back(account: Client, variable: Variable) -> None:
    """Between two times, oldest first, and the latest of all."""
    assert await account.values(variable, NOON, NOON + SECOND) == [
        Value(NOON, 20.5),
        Value(NOON + SECOND, 21.5),
    ]
    assert await account.latest_values("dev-a") == {"room_temp": 22.5}


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"display_name": "x" * 256}, "display_name"),
        ({"unit": "x" * 51}, "unit"),
        ({"unit": 1}, "unit"),
        ({"decimal_places": 11}, "decimal_places"),
        ({"decimal_places": -1}, "decimal_places"),
    ],
)
async def test_details_that_the_server_can_not_store_are_refused(
    sandbox: Sandbox,
    account: Client,
    variable: Variable,
    details: dict[str, Any],
    field: str,
) -> None:
    """Before they are sent, by their names."""
    before = len(sandbox.requests)
    with pytest.raises(ValidationError) as caught:
        await account.update_variable(variable, **details)
    assert caught.value.field == field
    with pytest.raises(ValidationError, match=r"^location"):
        await account.register_device("lamp", location="x" * 256)
    with pytest.raises(ValidationError, match=r"^timestamp"):
        await account.values(variable, NOON.replace(tzinfo=None), NOON)
    assert len(sandbox.requests) == before


async def test_user_key_manages_devices_and_not_variables(
    sandbox: Sandbox, variable: Variable
) -> None:
    """The server gives its user no role."""
    async with AsyncSensorVisionClient(sandbox.url, api_key=ALICE_KEY) as client:
        assert (await client.register_device("lamp")).name == "lamp"
        asks = [
            client.variables("dev-a"),
            client.latest_values("dev-a"),
            client.values(variable, NOON, NOON),
            client.update_variable(variable, unit="°C"),
        ]
        for ask in asks:
            with pytest.raises(CapabilityError, match="user name and password"):
                await ask


async def test_device_token_manages_nothing(sandbox: Sandbox) -> None:
    """Known or not yet known as one."""
    async with AsyncSensorVisionClient(sandbox.url, api_key=TOKEN) as client:
        with pytest.raises(CapabilityError):
            await client.devices()
        await client.probe("dev-a")
        before = len(sandbox.requests)
        with pytest.raises(CapabilityError):
            await client.devices()
        assert len(sandbox.requests) == before


async def test_trouble_does_not_make_a_key_a_devices(sandbox: Sandbox) -> None:
    """What it is remains to be asked."""
    sandbox.faults.set("http_502", times=1)
    async with AsyncSensorVisionClient(sandbox.url, api_key=ALICE_KEY) as client:
        with pytest.raises(ServerError):
            await client.devices()
        assert await client.devices()


async def test_old_server_is_named_as_what_is_missing() -> None:
    """Before 2025-12-06 there are no variables to ask for."""
    modes = frozenset({Mode.BEFORE_2025_12_06})
    async with (
        Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox,
        AsyncSensorVisionClient(
            sandbox.url, username="alice", password=ALICE_PASSWORD
        ) as client,
    ):
        assert (await client.device("dev-a")).uuid is None
        with pytest.raises(CapabilityError, match="too old"):
            await client.variables("dev-a")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[1]",
        b'[{"name":"A"}]',
        b'[{"externalId":1,"name":"A"}]',
        b'[{"externalId":"a","name":"A","lastSeenAt":"yesterday"}]',
        b"<html>",
    ],
)
async def test_answer_that_is_none_of_the_servers_is_named(body: bytes) -> None:
    """A captive portal says 200 to everything."""
    async with (
        scripted(http_answer(200, body)) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        with pytest.raises(NotSensorVisionError):
            await client.devices()


@pytest.mark.parametrize("body", [b"[]", b'{"token":"nonsense-secret"}', b"{}"])
async def test_token_that_is_none_is_not_repeated(body: bytes) -> None:
    """It may be one after all."""
    async with (
        scripted(http_answer(200, body)) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        with pytest.raises(NotSensorVisionError) as caught:
            await client.rotate_token("dev-a")
    assert "secret" not in repr((caught.value, caught.value.__context__))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02t12:00:00z", NOON),
        ("2026-01-02T12:00Z", NOON),
        ("2026-01-02T12:00:00.5Z", NOON.replace(microsecond=500000)),
        ("2026-01-02T12:00:00.123456789Z", NOON.replace(microsecond=123456)),
        ("2026-01-02T13:30:00+01:30", NOON),
    ],
)
def test_instants_are_read(text: str, expected: dt.datetime) -> None:
    """With 0, 3, 6 or 9 digits of a second, and always a zone."""
    assert parse_instant(text) == expected
    assert parse_instant(format_instant(expected)) == expected


@pytest.mark.parametrize("text", ["", "2026-01-02", "2026-01-02T12:00:00", "now"])
def test_text_without_a_zone_is_no_instant(text: str) -> None:
    """Whose clock it was is unknown."""
    with pytest.raises(ValueError, match="is not an instant"):
        parse_instant(text)
