"""What a reading costs on its way over a broker keeps to its budget."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from homeassistant.core import HomeAssistant
import pytest

from benchmarks.relay import relay_to
from sandbox import Sandbox, Settings
from tests.budgets import hold

from .brokers import Mosquitto, broker, mirror_over
from .conftest import ALICE, SETTINGS, SetUp
from .house import House, until
from .storm import SENSORS, Storm, count_stored, registered, times_stored

# MQTT 3.1.1, section 3.4.
_PUBACK_BYTES = 4


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncGenerator[Mosquitto]:
    """Run a broker that throws nothing away while the server is behind."""
    listener = ("allow_anonymous true", "max_queued_messages 0")
    async with Mosquitto(tmp_path, listener) as running:
        yield running


@pytest.fixture
def settings(mosquitto: Mosquitto) -> Settings:
    """Return how a server is made that listens to the broker and checks tokens."""
    return replace(SETTINGS, broker=mosquitto.url, mqtt_auth=True)


async def test_broker_is_given_readings_within_their_budget(
    hass: HomeAssistant,
    house: House,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
) -> None:
    # Fewer than elsewhere: the server takes its time for each message.
    storm = Storm(hass, house, times=2)
    async with relay_to(mosquitto.port) as relay:
        mirrored = mirror_over(entity_id=storm.entity_ids)
        entry = await set_up(broker(relay.port), mirrored, **ALICE)
        await storm.settle(entry)
        # What the broker has, the server gets a moment later.
        await until(lambda: count_stored(sandbox) == SENSORS + 2 * storm.changes)
        # Now the server knows what may be called something, so all is looked at again.
        house.entity("sensor.other", "1")
        await registered(entry)
        costs = await storm.delivered(entry, relay)
        await until(lambda: count_stored(sandbox) == SENSORS + 3 * storm.changes)
    assert times_stored(sandbox, costs.changes) == {1: storm.changes}
    counts = {
        "messages_per_1000": costs.bytes_down / _PUBACK_BYTES,
        "bytes_up_per_1000": costs.bytes_up,
        "calls_per_1000": costs.calls,
    }
    # Now and then somebody looks whether there is something to do, oftener the longer
    # all takes.
    hold("home_assistant", "mqtt", counts, {"calls_per_1000": 0.01})
