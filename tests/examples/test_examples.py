"""Each example sends what it says, judged by what the server has stored."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
import time

import aiohttp
import pytest

from micropython.simulator.world import bme280, dht22_frame
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_PASSWORD, DEV_A_TOKEN
from tests.brokers import Mosquitto

from .running import EXAMPLES, executed, running

DEVICE = {"api_key": DEV_A_TOKEN, "device_id": "dev-a"}
ACCOUNT = {"username": "alice", "password": ALICE_PASSWORD}
FRAMES = [dht22_frame(21.5, 40.2)]
BROKEN_FRAME = "0192008200"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """Run a server that takes telemetry from a broker, too."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        settings = Settings(fixtures="contract", broker=broker.url)
        async with Sandbox(settings) as running:
            yield running
    finally:
        await broker.stop()


def stored(sandbox: Sandbox, variable: str, device_id: str = "dev-a") -> list[float]:
    """Return what the server has of a variable, oldest first."""
    return [float(each.value) for each in sandbox.store.values(device_id, variable)]


async def test_dht22_reports_what_its_pin_says(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running(
        "dht22.py",
        tmp_path,
        hardware={"dht": FRAMES},
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "humidity"))
        printed = await example.stop()
    assert stored(sandbox, "temperature") == [21.5]
    assert stored(sandbox, "humidity") == [40.2]
    assert printed.endswith("Stopped\n")


async def test_dht22_goes_on_after_a_frame_that_is_broken(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running(
        "dht22.py",
        tmp_path,
        hardware={"dht": [BROKEN_FRAME, *FRAMES]},
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "temperature"))
        printed = await example.stop()
    assert stored(sandbox, "temperature") == [21.5]
    assert "No reading: Checksum did not validate" in printed


async def test_bme280_reports_what_its_bus_says(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running(
        "bme280.py",
        tmp_path,
        hardware={"i2c": [bme280()]},
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "pressure"))
        await example.stop()
    # The worked example of the data sheet: 25.08 degrees, 100,653 Pa.
    assert stored(sandbox, "temperature") == [25.08]
    assert stored(sandbox, "pressure") == [1006.53]
    assert stored(sandbox, "humidity") == [42.35]


async def test_reading_of_a_stopped_example_is_sent_when_it_starts_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    hardware = {"i2c": [bme280()]}
    async with running(
        "bme280.py",
        tmp_path,
        hardware=hardware,
        settings={"url": "http://127.0.0.1:1", **ACCOUNT, "device_id": "dev-a"},
    ) as away:
        file = tmp_path / "bme280.db"
        await away.until(file.exists)
        await away.stop()
    assert not stored(sandbox, "pressure")
    async with running(
        "bme280.py",
        tmp_path,
        hardware=hardware,
        settings={"url": sandbox.url, **ACCOUNT, "device_id": "dev-a"},
    ) as back:
        await back.until(lambda: len(stored(sandbox, "pressure")) == 2)
        await back.stop()
    assert stored(sandbox, "pressure") == [1006.53, 1006.53]


async def test_sensor_that_is_missing_does_not_silence_the_others(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running(
        "many_sensors.py",
        tmp_path,
        hardware={"dht": FRAMES},
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "memory_used_percent"))
        await example.until(lambda: stored(sandbox, "cellar_humidity"))
        printed = await example.stop()
    assert stored(sandbox, "cellar_temperature") == [21.5]
    assert not stored(sandbox, "attic_temperature")
    assert "attic: No I2C device at address: 0x76" in printed


async def test_many_sensors_report_together(sandbox: Sandbox, tmp_path: Path) -> None:
    hardware = {"dht": FRAMES, "i2c": [bme280()]}
    async with running(
        "many_sensors.py",
        tmp_path,
        hardware=hardware,
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "disk_used_percent"))
        await example.stop()
    assert stored(sandbox, "cellar_humidity") == [40.2]
    assert stored(sandbox, "attic_temperature") == [25.08]


async def test_system_metrics_are_those_of_this_machine(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running(
        "system_metrics.py",
        tmp_path,
        settings={"url": sandbox.url, **DEVICE},
    ) as example:
        await example.until(lambda: stored(sandbox, "uptime_s"))
        await example.stop()
    [up_s] = stored(sandbox, "uptime_s")
    assert 0 < up_s <= time.clock_gettime(time.CLOCK_BOOTTIME) + 1
    assert 0 < stored(sandbox, "memory_percent")[0] < 100


async def test_async_batches_store_a_file_and_tell_the_lines_that_failed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "measurements.csv"
    file.write_text(
        "device,variable,value,time\n"
        "dev-a,temperature,20.5,2026-11-01T10:00:00+00:00\n"
        "dev-b,temperature,20.5,2026-11-01T10:00:00+00:00\n"
        "dev-a,temperature,nan,2026-11-01T10:01:00+00:00\n"
        "dev-a2,temperature,21.5,2026-11-01T10:02:00+00:00\n"
    )
    async with running(
        "async_batches.py",
        tmp_path,
        file.name,
        settings={"url": sandbox.url, **ACCOUNT},
    ) as example:
        printed = await example.output()
    assert example.process.returncode == 1, printed
    assert stored(sandbox, "temperature") == [20.5]
    assert stored(sandbox, "temperature", "dev-a2") == [21.5]
    assert "2 stored, 2 failed, 0 not sent" in printed
    assert "line 3: " in printed
    assert "line 4: " in printed


async def test_mqtt_stream_publishes_and_obeys(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    broker = sandbox.settings.broker or ""
    async with running(
        "mqtt_stream.py",
        tmp_path,
        settings={
            "mqtt_host": "127.0.0.1",
            "mqtt_port": broker.rpartition(":")[2],
            **DEVICE,
        },
    ) as example:
        await example.until(lambda: stored(sandbox, "level"))
        url = f"{sandbox.url}/api/v1/devices/dev-a/commands/set-value"
        token = await sandbox_login(sandbox)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                url,
                json={"variable": "interval_s", "value": 0.2},
                headers={"Authorization": f"Bearer {token}"},
            ) as answer,
        ):
            assert answer.status == 200
        await example.until(lambda: 0.2 in stored(sandbox, "interval_s"))
        printed = await example.stop()
    assert stored(sandbox, "interval_s")[0] == 10
    assert "Told to set_value" in printed


async def sandbox_login(sandbox: Sandbox) -> str:
    """Return a token of Alice's."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.url}/api/v1/auth/login", json=ACCOUNT) as answer,
    ):
        token: str = (await answer.json())["accessToken"]
        return token


async def test_notebook_sends_a_frame_and_reads_it_back(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    source = (EXAMPLES / "pandas.ipynb").read_text()
    assert '"outputs": []' in source
    assert '"output_type"' not in source
    copy = tmp_path / "pandas.ipynb"
    copy.write_text(source)
    code, printed = await executed(
        copy,
        settings={"url": sandbox.url, **ACCOUNT},
    )
    assert code == 0, printed
    said = "".join(
        "".join(output.get("text", ""))
        for cell in json.loads(copy.read_text())["cells"]
        for output in cell.get("outputs", [])
    )
    assert "120 of 120 rows stored" in said
    assert "239 values back, largest difference 0.000000" in said
    assert len(stored(sandbox, "temperature", "greenhouse")) == 120
    assert len(stored(sandbox, "humidity", "greenhouse")) == 119


def test_every_example_is_run() -> None:
    source = Path(__file__).read_text()
    listed = (EXAMPLES / "README.md").read_text()
    names = [
        path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")
    ]
    assert len(names) == 7
    for name in names:
        assert f'"{name}"' in source
        assert f"[{name}]({name})" in listed
