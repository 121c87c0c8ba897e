"""Numbers are sent from the command line."""

import datetime as dt

import pytest

from sandbox import Mode, Sandbox, Settings
from sandbox.fixtures import DEV_A_TOKEN
from tests.brokers import Mosquitto
from tests.client.servers import eventually

from .command import ROOT, Command


def stored(sandbox: Sandbox, device_id: str) -> dict[str, float]:
    """Return what is stored of a device, by variable."""
    return {
        each.variable: float(each.value) for each in sandbox.store.values(device_id)
    }


async def test_numbers_are_stored_as_true_now(
    device: Command, sandbox: Sandbox
) -> None:
    ended = await device("send", "dev-a", "temperature=21.5", "outdoor=-3")
    assert ended.code == 0
    assert ended.out == "dev-a: temperature=21.5, outdoor=-3 stored.\n"
    assert stored(sandbox, "dev-a") == {"temperature": 21.5, "outdoor": -3}


async def test_json_says_what_was_sent(device: Command) -> None:
    ended = await device("send", "--json", "dev-a", "temperature=21.5")
    assert ended.json() == {
        "device": "dev-a",
        "variables": {"temperature": 21.5},
        "timestamp": None,
        "way": "http",
    }


async def test_device_of_the_settings_is_meant_where_none_is_named(
    device: Command, sandbox: Sandbox
) -> None:
    command = device.with_variables(SENSORVISION_DEVICE_ID="dev-a")
    assert (await command("send", "humidity=48")).code == 0
    assert stored(sandbox, "dev-a") == {"humidity": 48}


async def test_no_device_at_all_is_told(device: Command) -> None:
    ended = await device("send", "humidity=48")
    assert ended.code == 2
    assert "SENSORVISION_DEVICE_ID" in ended.err


async def test_user_sends_with_a_time(user: Command, sandbox: Sandbox) -> None:
    moment = "2026-01-31T12:00:00Z"
    ended = await user("send", "--json", "dev-a", "t=1", "--timestamp", moment)
    assert ended.json()["timestamp"] == moment
    (value,) = sandbox.store.values("dev-a")
    assert value.timestamp == dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


async def test_device_token_can_keep_no_time(device: Command, sandbox: Sandbox) -> None:
    moment = "2026-01-31T12:00:00Z"
    ended = await device("send", "--json", "dev-a", "t=1", "--timestamp", moment)
    assert ended.code == 13
    assert ended.error()["error"] == "capability"
    assert ended.error()["remedy"]
    assert sandbox.store.values("dev-a") == []


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T12:00:00", "1769860800000"])
async def test_time_of_no_certain_moment_is_refused(user: Command, text: str) -> None:
    ended = await user("send", "dev-a", "t=1", "--timestamp", text)
    assert ended.code == 12
    assert ended.err.startswith(f"Error: timestamp '{text}' is no certain moment. ")
    assert "2026-01-31T12:00:00Z" in ended.err


@pytest.mark.parametrize("text", ["=1", "warm", "t=warm", "t="])
async def test_what_is_no_number_is_told(device: Command, text: str) -> None:
    ended = await device("send", "dev-a", text)
    assert ended.code == 12
    assert ended.err == (
        f"Error: {text!r} is no name with a number. Write it like temperature=21.5.\n"
    )


async def test_number_that_no_server_takes_is_told(device: Command) -> None:
    ended = await device("send", "--json", "dev-a", "t=nan")
    assert ended.code == 12
    assert ended.error()["error"] == "validation"


async def test_no_value_at_all_is_told(device: Command) -> None:
    ended = await device("send", "dev-a")
    assert ended.code == 2
    assert ended.err == (
        "Error: Give at least one value, such as temperature=21.5."
        " See `sensorvision send --help`.\n"
    )


async def test_numbers_go_through_the_broker(bare: Command, broker: Mosquitto) -> None:
    async with Sandbox(Settings(fixtures="contract", broker=broker.url)) as sandbox:
        command = bare.with_variables(
            SENSORVISION_API_KEY=DEV_A_TOKEN,
            SENSORVISION_MQTT_HOST="127.0.0.1",
            SENSORVISION_MQTT_PORT=str(broker.port),
        )
        moment = "2026-01-31T12:00:00Z"
        ended = await command("send", "dev-a", "t=1.5", "--mqtt", "--timestamp", moment)
        assert ended.out == "dev-a: t=1.5 handed to the broker.\n"
        await eventually(lambda: sandbox.store.values("dev-a"))
        (value,) = sandbox.store.values("dev-a")
        assert value.timestamp == dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


async def test_broker_that_is_away_is_told(bare: Command, broker: Mosquitto) -> None:
    await broker.stop()
    command = bare.with_variables(
        SENSORVISION_API_KEY=DEV_A_TOKEN,
        SENSORVISION_MQTT_HOST="127.0.0.1",
        SENSORVISION_MQTT_PORT=str(broker.port),
    )
    ended = await command("send", "--json", "--mqtt", "dev-a", "t=1")
    assert ended.code == 10
    assert ended.error()["error"] == "network"
    assert DEV_A_TOKEN not in ended.err


async def test_topics_begin_as_the_server_says(
    bare: Command, broker: Mosquitto
) -> None:
    old = frozenset({Mode.BEFORE_2025_12_06})
    settings = Settings(fixtures="contract", broker=broker.url, modes=old)
    async with Sandbox(settings) as sandbox:
        command = bare.with_variables(
            SENSORVISION_URL=sandbox.url,
            SENSORVISION_API_KEY=DEV_A_TOKEN,
            SENSORVISION_MQTT_HOST="127.0.0.1",
            SENSORVISION_MQTT_PORT=str(broker.port),
        )
        assert (await command("send", "dev-a", "voltage=230", "--mqtt")).code == 0
        await eventually(lambda: sandbox.store.values("dev-a"))


async def test_broker_is_enough_while_the_server_is_away(
    bare: Command, broker: Mosquitto, unused_tcp_port: int
) -> None:
    command = bare.with_variables(
        SENSORVISION_URL=f"http://127.0.0.1:{unused_tcp_port}",
        SENSORVISION_API_KEY=DEV_A_TOKEN,
        SENSORVISION_MQTT_HOST="127.0.0.1",
        SENSORVISION_MQTT_PORT=str(broker.port),
        SENSORVISION_RETRIES="0",
    )
    told = command.with_variables(SENSORVISION_MQTT_PREFIX="sensorvision")
    for each in (command, told):
        assert (await each("send", "dev-a", "t=1", "--mqtt")).code == 0


async def test_missing_library_for_mqtt_is_named(bare: Command) -> None:
    # Found before the library itself, and as good as none.
    (bare.folder / "aiomqtt.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'aiomqtt'\", name='aiomqtt')"
    )
    command = bare.with_variables(PYTHONPATH=f"{bare.folder}:{ROOT}")
    for words in (("send", "dev-a", "t=1"), ("watch",)):
        ended = await command(*words, "--mqtt", "--json")
        assert ended.code == 6
        assert 'pip install "sensorvision[mqtt]"' in ended.error()["remedy"]
