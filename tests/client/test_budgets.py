"""What plain Python sends of many samples, and asks of the disk, keeps to its budget."""

from collections import Counter
import datetime as dt
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.relay import relay_to
from custom_components.sensorvision import client
from custom_components.sensorvision.client import RateLimit, Sample
from custom_components.sensorvision.client.mqtt_client import MQTTClient
from proofs.calls import STRACE, Sync, Write, read_calls
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_PASSWORD
from tests.brokers import Mosquitto
from tests.budgets import hold

from .both_clients import ClientClass, both_clients
from .servers import TOKEN, eventually

_IN_BULK = 1000
# Not more than the server takes over one connection.
_ONE_BY_ONE = 80
_DEVICES = ("dev-a", "dev-a2")
_BEGAN = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)

_ACCOUNT = {"username": "alice", "password": ALICE_PASSWORD}

_COMMITTER = Path(__file__).with_name("committer.py")
_COMMITS, _READINGS_PER_COMMIT = 10, 200


def _readings(size: int, *devices: str) -> list[tuple[str, dict[str, float]]]:
    """Return devices by turns with numbers, each number once."""
    return [
        (devices[number % len(devices)], {"temperature": (10_000 + number) / 100})
        for number in range(size)
    ]


def _numbers(readings: list[tuple[str, dict[str, float]]]) -> Counter[float]:
    return Counter(value for _, values in readings for value in values.values())


def _stored(sandbox: Sandbox) -> Counter[float]:
    return Counter(
        float(row.value)
        for device_id in _DEVICES
        for row in sandbox.store.values(device_id, "temperature")
    )


@both_clients
@pytest.mark.parametrize(
    ("way", "credential", "size"),
    [("account", _ACCOUNT, _IN_BULK), ("token", {"api_key": TOKEN}, _ONE_BY_ONE)],
    ids=["account", "token"],
)
async def test_batch_over_http_keeps_to_its_budget(
    sandbox: Sandbox,
    client_class: ClientClass,
    way: str,
    credential: dict[str, Any],
    size: int,
) -> None:
    """From opening the client to closing it, so that signing in counts as well."""
    readings = _readings(size, *_DEVICES)
    samples = [
        Sample(device_id, values, _BEGAN + number * dt.timedelta(seconds=1))
        if way == "account"
        else Sample(device_id, values)
        for number, (device_id, values) in enumerate(readings)
    ]
    async with relay_to(int(sandbox.url.rpartition(":")[2])) as relay:
        url = f"http://127.0.0.1:{relay.port}"
        options: dict[str, Any] = {**credential, "rate_limit": RateLimit.off()}
        async with client_class(url, **options) as opened:
            await opened.send_batch(samples, max_concurrency=1)
    assert _stored(sandbox) == _numbers(readings)
    counts = {
        "requests": relay.requests,
        "connections": relay.connections,
        "bytes_up": relay.bytes_up,
    }
    kind = "async" if "Async" in client_class.__name__ else "blocking"
    # Each request tells versions, which may become longer.
    hold("client", f"batch_with_{way}_{kind}", counts, {"bytes_up": 0.01})


async def test_batch_over_mqtt_keeps_to_its_budget(mosquitto: Mosquitto) -> None:
    """From connecting to disconnecting."""
    async with (
        Sandbox(Settings(fixtures="contract", broker=mosquitto.url)) as sandbox,
        relay_to(mosquitto.port) as relay,
    ):
        async with MQTTClient("127.0.0.1", relay.port, api_key=TOKEN) as opened:
            readings = _readings(_ONE_BY_ONE, _DEVICES[0])
            await opened.publish_batch(
                opened.telemetry(device_id, values) for device_id, values in readings
            )
        await eventually(lambda: _stored(sandbox) == _numbers(readings))
    counts = {"connections": relay.connections, "bytes_up": relay.bytes_up}
    hold("client", "batch_over_mqtt", counts)


def test_outbox_asks_the_disk_for_no_more_than_its_budget(tmp_path: Path) -> None:
    """As the kernel sees it, from its opening to its closing."""
    folder, trace = (tmp_path / "storage").resolve(), tmp_path / "trace"
    folder.mkdir()
    arguments = map(str, (folder / "outbox", _COMMITS, _READINGS_PER_COMMIT))
    subprocess.run(
        [*STRACE, f"--output={trace}", sys.executable, str(_COMMITTER), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(client.__file__).parent.parent)},
        check=True,
    )
    calls = list(read_calls(trace, folder))
    written = [call for call in calls if isinstance(call, Write)]
    readings = _COMMITS * _READINGS_PER_COMMIT
    counts = {
        "waits_for_the_disk": sum(isinstance(call, Sync) for call in calls),
        "writes": len(written),
        "bytes_written": sum(len(call.data) for call in written),
        "bytes_of_file_per_1000": (folder / "outbox").stat().st_size * 1000 / readings,
    }
    hold("client", "outbox", counts)
