"""The newest values are watched, as a table and as lines."""

import asyncio
from pathlib import Path
import signal

from custom_components.sensorvision.client import MQTTClient
from sandbox import Sandbox, Settings
from sandbox.fixtures import DEV_A_TOKEN
from tests.brokers import Mosquitto

from .command import DEADLINE_S, Command, ended
from .terminal import Terminal

_SHOWN_CURSOR = "\x1b[?25h"


async def test_live_table_shows_new_values_until_ctrl_c(
    account: Command, device: Command
) -> None:
    await device("send", "dev-a", "temperature=21.5")
    async with Terminal(account, "watch", "--interval", "0.2") as terminal:
        await terminal.shows(r"dev-a +temperature +21\.5 +\d+ s")
        await device("send", "dev-a", "temperature=22.5")
        await terminal.shows(r"dev-a +temperature +22\.5 +\d+ s")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.ends() == 0
        assert terminal.screen.rindex(_SHOWN_CURSOR) > terminal.screen.rindex("22.5")
        assert "Traceback" not in terminal.screen


async def test_table_says_so_while_the_server_is_away(
    account: Command, device: Command, sandbox: Sandbox
) -> None:
    await device("send", "dev-a", "temperature=21.5")
    command = account.with_variables(SENSORVISION_RETRIES="0")
    async with Terminal(command, "watch", "--interval", "0.1") as terminal:
        await terminal.shows(r"21\.5")
        sandbox.faults.set("http_500", times=3)
        await terminal.shows(r"Trying again\.")
        await device("send", "dev-a", "temperature=22.5")
        await terminal.shows(r"22\.5")


async def test_password_is_asked_for_and_not_shown(account: Command) -> None:
    password = account.variables["SENSORVISION_PASSWORD"]
    command = account.with_variables(SENSORVISION_PASSWORD="")
    async with Terminal(command, "devices", "list") as terminal:
        await terminal.shows(r"Password of alice \(not shown\): ")
        terminal.write(password + "\n")
        assert await terminal.ends() == 0
        await terminal.shows("dev-a2")
        assert password not in terminal.screen


async def test_json_lines_tell_each_new_value_once(
    account: Command, device: Command
) -> None:
    await device("send", "dev-a", "temperature=21.5", "humidity=48")
    watched = await account(
        "watch", "--json", "--interval", "0.1", "--count", "3", "dev-a"
    )
    assert watched.code == 0
    told = {(each["device"], each["variable"]): each for each in watched.lines()}
    assert len(watched.lines()) == len(told) == 2
    assert told["dev-a", "temperature"]["value"] == 21.5
    assert told["dev-a", "temperature"]["timestamp"].endswith("Z")


async def test_json_lines_can_be_replayed(
    account: Command, device: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    await device("send", "dev-a", "temperature=21.5")
    watched = await account("watch", "--json", "--count", "1")
    (tmp_path / "seen.jsonl").write_text(watched.out)
    assert (await account("replay", "seen.jsonl")).code == 0
    first, second = sandbox.store.values("dev-a")
    assert (first.value, first.timestamp) == (second.value, second.timestamp)


async def test_table_is_printed_where_no_terminal_is(
    account: Command, device: Command
) -> None:
    await device("send", "dev-a", "temperature=21.5")
    watched = await account("watch", "--count", "1")
    head, row = watched.out.splitlines()
    assert head.split() == ["device", "variable", "value", "age"]
    assert row.split()[:3] == ["dev-a", "temperature", "21.5"]
    assert (await account("watch", "--count", "1", "dev-a2")).out == "No values yet.\n"


async def test_trouble_is_told_to_programs_too(
    account: Command, device: Command, sandbox: Sandbox
) -> None:
    await device("send", "dev-a", "temperature=21.5")
    command = account.with_variables(SENSORVISION_RETRIES="0")
    process = await command.start("watch", "--json", "--interval", "0.1")
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        assert b"21.5" in await process.stdout.readline()
        sandbox.faults.set("http_500")
        line = await process.stderr.readline()
    assert b'"warning"' in line
    process.send_signal(signal.SIGINT)
    assert (await ended(process)).code == 0


async def test_user_key_sees_no_values(user: Command) -> None:
    watched = await user("watch", "--json", "--count", "1")
    assert watched.code == 13
    assert watched.error()["error"] == "capability"


async def test_server_that_is_away_from_the_start_ends_it(
    account: Command, unused_tcp_port: int
) -> None:
    command = account.with_variables(
        SENSORVISION_URL=f"http://127.0.0.1:{unused_tcp_port}",
        SENSORVISION_RETRIES="0",
    )
    assert (await command("watch")).code == 10


async def test_device_that_is_not_there_is_told(account: Command) -> None:
    watched = await account("watch", "dev-x")
    assert watched.code == 9
    assert watched.err == (
        "Error: Your organisation has no device dev-x."
        " See `sensorvision devices list`.\n"
    )


async def test_broker_is_listened_to(bare: Command, broker: Mosquitto) -> None:
    command = bare.with_variables(
        SENSORVISION_API_KEY=DEV_A_TOKEN,
        SENSORVISION_MQTT_HOST="127.0.0.1",
        SENSORVISION_MQTT_PORT=str(broker.port),
    )
    watching = ("watch", "--mqtt", "--count", "1")
    async with (
        Sandbox(Settings(fixtures="contract", broker=broker.url)),
        Terminal(command, *watching) as terminal,
    ):
        await terminal.shows("No values yet")
        # It listens a moment later than it shows an empty table.
        while terminal.process.returncode is None:
            await command("send", "--mqtt", "dev-a", "temperature=21.5")
        assert await terminal.ends() == 0
        await terminal.shows(r"dev-a +temperature +21\.5")
        assert DEV_A_TOKEN not in terminal.screen


async def test_watch_goes_on_when_the_broker_is_back(
    bare: Command, broker: Mosquitto
) -> None:
    command = bare.with_variables(
        SENSORVISION_API_KEY=DEV_A_TOKEN,
        SENSORVISION_MQTT_HOST="127.0.0.1",
        SENSORVISION_MQTT_PORT=str(broker.port),
    )
    async with Terminal(command, "watch", "--mqtt") as terminal:
        while "21.5" not in terminal.screen:
            await command("send", "--mqtt", "dev-a", "temperature=21.5")
        await broker.kill()
        await terminal.shows(r"Trying again\.")
        await broker.start()
        while "22.5" not in terminal.screen:
            await command("send", "--mqtt", "dev-a", "temperature=22.5")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.ends() == 0


async def test_what_is_no_telemetry_is_passed_over(
    bare: Command, broker: Mosquitto
) -> None:
    command = bare.with_variables(
        SENSORVISION_API_KEY=DEV_A_TOKEN,
        SENSORVISION_MQTT_HOST="127.0.0.1",
        SENSORVISION_MQTT_PORT=str(broker.port),
    )
    process = await command.start("watch", "--mqtt", "--json", "--count", "3")
    async with MQTTClient("127.0.0.1", broker.port) as client:
        topic = "indcloud/devices/x/telemetry"
        head = '{"deviceId": "dev-x", "variables": '
        while process.returncode is None:
            for text in ("{", "[]", "{}", head + "[1]}", head + '{"t": true}}'):
                await client.publish(topic, text)
            moment = '"timestamp": "2026-01-31T12:00:0'
            await client.publish(topic, head + '{"t": 1}, ' + moment + '0"}')
            await client.publish(topic, head + '{"t": 2}, ' + moment + '1+00:00"}')
            await client.publish(topic, head + '{"u": 3}, "timestamp": 0}')
            await asyncio.sleep(0)
    watched = await ended(process)
    told = [(each["variable"], each["value"]) for each in watched.lines()]
    assert told
    assert set(told) <= {("t", 1), ("t", 2), ("u", 3)}
    assert watched.code == 0
