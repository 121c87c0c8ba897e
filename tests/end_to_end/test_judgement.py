"""The demo's check finds what is wrong, so that its yes means something."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from aiohttp import ClientSession, web
import pytest

from demo.arrivals import Arrived, arrivals
from demo.board import ADDRESSES, DEVICE_ID
from demo.check import Verdict, judge
from demo.home_assistant import HomeAssistantApi
from demo.parts import require_home_assistant, require_micropython
from demo.processes import StartError
from sandbox import Sandbox, Settings

_STATES = {"sensor.heat": "21.25", "lock.door": "locked"}
_ADDRESSES = {"sensor.heat": ("h.heat", "heat"), "lock.door": ("h.door", "door")}


def _stored(**changes: Arrived | None) -> dict[tuple[str, str], Arrived]:
    """Return what is stored when all is well, but for some changes."""
    stored = {
        ("h.heat", "heat"): Arrived(3, Decimal("21.250000"), 0),
        ("h.door", "door"): Arrived(4, Decimal("1.000000"), 0),
        (DEVICE_ID, "temperature"): Arrived(3, Decimal("25.08"), 0),
        (DEVICE_ID, "humidity"): Arrived(3, Decimal("40.1"), 0),
        (DEVICE_ID, "pressure"): Arrived(3, Decimal("1006.53"), 0),
        # What it tells of itself comes less often.
        (DEVICE_ID, "uptime_s"): Arrived(1, Decimal(0), 0),
    }
    for (device_id, variable), what in list(stored.items()):
        changed = changes.get(variable, what)
        if changed is None:
            del stored[device_id, variable]
        else:
            stored[device_id, variable] = changed
    return stored


def _judge(**changes: Arrived | None) -> Verdict:
    return judge(_STATES, _ADDRESSES, ADDRESSES, _stored(**changes))


def test_all_is_well() -> None:
    """Everything has arrived three times and agrees."""
    verdict = _judge()
    assert verdict.is_good
    assert verdict.as_json() == {
        "entities": 2,
        "delivered": 2,
        "board_readings": 9,
        "mismatches": 0,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"heat": None},
        {"heat": Arrived(2, Decimal("21.25"), 0)},
        {"heat": Arrived(9, Decimal("21.26"), 0)},
        {"door": Arrived(9, Decimal(0), 0)},
        {"temperature": Arrived(2, Decimal(25), 0)},
        {"humidity": None},
        {"temperature": None, "humidity": None, "pressure": None},
    ],
    ids=[
        "lost",
        "too few",
        "another number",
        "another word",
        "board slow",
        "half a board",
        "no board",
    ],
)
def test_each_fault_is_found(changes: dict[str, Arrived | None]) -> None:
    """No single fault passes."""
    assert not _judge(**changes).is_good


def test_nothing_chosen_is_no_success() -> None:
    """A check of nothing can't be good."""
    assert not judge({}, {}, ADDRESSES, _stored()).is_good


def test_a_state_that_is_no_number_is_a_mismatch() -> None:
    """What can't have been sent can't agree."""
    verdict = judge({"lock.door": "locking"}, _ADDRESSES, ADDRESSES, _stored())
    assert verdict.mismatches == ("lock.door",)


async def test_arrivals_are_read_from_the_servers_database(tmp_path: Path) -> None:
    """The rows are the server's own, counted, with the value stored last."""
    database = tmp_path / "server.sqlite"
    settings = Settings(fixtures="contract", database=database)
    async with Sandbox(settings) as sandbox, ClientSession() as session:
        for number in (1, 2.5):
            async with session.post(
                f"{sandbox.url}/api/v1/ingest/dev-a",
                json={"t": number},
                headers={"X-API-Key": "11111111-1111-4111-8111-111111111111"},
            ) as response:
                assert response.status == 200
        stored = arrivals(database)
    assert stored["dev-a", "t"].count == 2
    assert stored["dev-a", "t"].last_value == Decimal("2.5")


@pytest.fixture
async def impostor() -> AsyncIterator[HomeAssistantApi]:
    """Serve what only says that it is Home Assistant."""

    async def config(_request: web.Request) -> web.Response:
        return web.json_response({"version": "2020.1.0", "state": "RUNNING"})

    app = web.Application()
    app.router.add_get("/api/config", config)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        yield HomeAssistantApi(f"http://127.0.0.1:{port}", session)
    await runner.cleanup()


async def test_another_home_assistant_is_refused(impostor: HomeAssistantApi) -> None:
    """The core must be the one that is installed."""
    with pytest.raises(StartError, match="not the installed Home Assistant"):
        await require_home_assistant(impostor)


@pytest.mark.parametrize(
    "line", ["", "sensorvision 0.1.0", "sensorvision 0.1.0 on cpython 3.14.8, linux"]
)
def test_another_board_is_refused(line: str) -> None:
    """The board's own first line must name MicroPython."""
    with pytest.raises(StartError, match="not MicroPython"):
        require_micropython(line)
