"""A house in which everything changes at once, and what it costs to deliver that."""

from collections import Counter
from itertools import count
import time
from typing import NamedTuple

from homeassistant.core import HomeAssistant

from benchmarks.relay import Relay
from custom_components.sensorvision.const import CONF_COMMIT_INTERVAL_S
from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from sandbox import Sandbox
from tests.counting import Calls

from .house import House, until

DEVICES = 20
SENSORS = 200

# Longer than any machine takes here, or some of what is on its way would be written down.
_COMMIT_INTERVAL_S = 60

# Device, variable, number and time.
type Told = tuple[str, str, float, float]


class Change(NamedTuple):
    """A change of a sensor's state, and the reading that the server is to have of it."""

    entity_id: str
    state: str
    told: Told


class Costs(NamedTuple):
    """What it cost to deliver some changes.

    Attributes:
        changes: that were delivered.
        requests: of HTTP.
        bytes_up: that went to the server or the broker.
        bytes_down: that came from there.
        calls: of functions of the integration.
    """

    changes: list[Change]
    requests: float
    bytes_up: float
    bytes_down: float
    calls: float


class Storm:
    """Sensors that all change at once, each time to a number that is there but once.

    Args:
        hass: Home Assistant.
        house: where the sensors are put.
        times: how often each of them changes.

    Attributes:
        entity_ids: the sensors.
        changes: how many there are at once.
    """

    def __init__(self, hass: HomeAssistant, house: House, times: int = 10) -> None:
        """Put the sensors into the house."""
        self.changes = times * SENSORS
        self._hass = hass
        self._times = times
        self._numbers = count(10_000)
        self._began = int(time.time()) - 60
        self._names: dict[str, tuple[str, str]] = {}
        devices = [house.device(f"Room {number}") for number in range(DEVICES)]
        for number in range(SENSORS):
            room = number % DEVICES
            entity_id = f"sensor.thing_{number}"
            name = f"Thing {number}"
            house.entity(entity_id, "1", device=devices[room], original_name=name)
            self._names[entity_id] = (f"home.room_{room}", f"thing_{number}")
        self.entity_ids = list(self._names)

    def gather(self) -> list[Change]:
        """Return what is to change next: each sensor, as often as the others."""
        changes = []
        for entity_id, names in list(self._names.items()) * self._times:
            number = next(self._numbers)
            value, at = number / 100, self._began + number / 1000
            changes.append(Change(entity_id, f"{value:.2f}", (*names, value, at)))
        return changes

    def rage(self, changes: list[Change]) -> None:
        """Let it change, before anybody else can do anything."""
        for entity_id, state, (_, _, _, at) in changes:
            self._hass.states.async_set(entity_id, state, timestamp=at)

    async def rage_to_the_end(
        self, entry: SensorVisionConfigEntry, changes: list[Change]
    ) -> None:
        """Let it change, and wait until nothing of that is under way any more."""
        expected = _counted(entry) + len(changes)
        self.rage(changes)
        await until(lambda: _counted(entry) == expected)
        await entry.runtime_data.ways.write_down()

    async def settle(self, entry: SensorVisionConfigEntry) -> None:
        """Deliver some changes, after which the next ones cost what all will cost.

        Nothing is written to disk from then on unless it is asked for.
        """
        options = {CONF_COMMIT_INTERVAL_S: _COMMIT_INTERVAL_S}
        self._hass.config_entries.async_update_entry(entry, options=options)
        await until(lambda: _counted(entry) == SENSORS)
        for _ in range(2):
            await self.rage_to_the_end(entry, self.gather())

    async def delivered(self, entry: SensorVisionConfigEntry, relay: Relay) -> Costs:
        """Let it change, and return what it costs for a thousand changes to deliver that.

        Args:
            entry: that mirrors the sensors.
            relay: on the way to where they go.
        """
        changes, calls = self.gather(), Calls()
        relay.clear()
        with calls.counted():
            await self.rage_to_the_end(entry, changes)
        counts = (relay.requests, relay.bytes_up, relay.bytes_down, calls.total)
        return Costs(changes, *(number * 1000 / self.changes for number in counts))


async def registered(entry: SensorVisionConfigEntry) -> None:
    """Wait until the server was told what everything is called."""
    await until(lambda: not entry.runtime_data.registration.due)


def _counted(entry: SensorVisionConfigEntry) -> int:
    """Return how many readings were delivered, or overtaken before they could be."""
    figures = [route.figures for route in entry.runtime_data.ways]
    return sum(each.delivered + each.superseded for each in figures)


def count_stored(sandbox: Sandbox) -> int:
    """Return how many readings the server has."""
    ((stored,),) = sandbox.store.rows("SELECT COUNT(*) FROM variable_values")
    return int(stored)


def times_stored(sandbox: Sandbox, changes: list[Change]) -> Counter[int]:
    """Return how many changes are on the server how many times, to the letter."""
    stored = Counter(
        (row.device_id, row.variable, float(row.value), row.timestamp.timestamp())
        for number in range(DEVICES)
        for row in sandbox.store.values(f"home.room_{number}")
    )
    return Counter(stored[change.told] for change in changes)
