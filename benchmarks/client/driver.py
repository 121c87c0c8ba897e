"""``python driver.py PLAN``: send readings by one of the ways that a package has.

It runs in an environment of its own, where `sensorvision` may be either package. It says
that it is ready, and begins when it is sent a line.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
import datetime as dt
from importlib import import_module
import json
import sys
import time
from typing import Any

# Which package it is depends on the environment, so no type checker can know it.
sv: Any = import_module("sensorvision")

_VARIABLE = "temperature"


class _Plan:
    """What to send, and where to."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.url: str = told["url"]
        self.broker_port: int = told["broker_port"]
        self.concurrency: int = told["concurrency"]
        self.account = {"username": told["username"], "password": told["password"]}
        self.token: str = told["devices"][0][1]
        self.tokens: dict[str, str] = dict(told["devices"])
        self.readings = self._readings(told["readings"])
        self.first_readings = self._readings(len(self.tokens))

    def _readings(self, count: int) -> list[tuple[str, dict[str, float]]]:
        ids = list(self.tokens)
        return [
            (ids[number % len(ids)], {_VARIABLE: 20 + number % 1000 / 100})
            for number in range(count)
        ]

    def samples(self, readings: list[tuple[str, dict[str, float]]], **more: Any) -> Any:
        return [sv.Sample(device_id, values, **more) for device_id, values in readings]


@contextmanager
def _measured() -> Iterator[None]:
    """Say that all is ready, wait for the signal, and print what the block cost."""
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    yield
    seconds = time.perf_counter() - begun
    found = {
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu_begun,
    }
    print(json.dumps(found), flush=True)


def _expect_all_delivered(results: Any) -> None:
    failed = [result for result in results if not result.is_delivered]
    if failed:
        raise SystemExit(f"{len(failed)} readings failed, the first: {failed[0]}")


def _sync_one_by_one(plan: _Plan) -> None:
    with sv.SensorVisionClient(plan.url, api_key=plan.token, **_unlimited()) as client:
        for device_id, values in plan.first_readings:
            client.send_data(device_id, values)
        with _measured():
            for device_id, values in plan.readings:
                client.send_data(device_id, values)


def _sync_batch(plan: _Plan, credential: dict[str, str], **more: Any) -> None:
    first, all_ = (
        plan.samples(plan.first_readings, **more),
        plan.samples(plan.readings, **more),
    )
    with sv.SensorVisionClient(plan.url, **credential, **_unlimited()) as client:
        _expect_all_delivered(client.send_batch(first))
        with _measured():
            results = client.send_batch(all_, max_concurrency=plan.concurrency)
        _expect_all_delivered(results)


async def _async_one_by_one(plan: _Plan) -> None:
    async with sv.AsyncSensorVisionClient(
        plan.url, api_key=plan.token, **_unlimited()
    ) as client:
        for device_id, values in plan.first_readings:
            await client.send_data(device_id, values)
        with _measured():
            for device_id, values in plan.readings:
                await client.send_data(device_id, values)


async def _async_by_hand(plan: _Plan) -> None:
    """Send several at a time, as somebody may write it who knows how."""
    async with sv.AsyncSensorVisionClient(
        plan.url, api_key=plan.token, **_unlimited()
    ) as client:
        for device_id, values in plan.first_readings:
            await client.send_data(device_id, values)
        left = iter(plan.readings)

        async def work() -> None:
            for device_id, values in left:
                await client.send_data(device_id, values)

        with _measured():
            await asyncio.gather(*(work() for _ in range(plan.concurrency)))


async def _async_batch(plan: _Plan, credential: dict[str, str], **more: Any) -> None:
    first, all_ = (
        plan.samples(plan.first_readings, **more),
        plan.samples(plan.readings, **more),
    )
    async with sv.AsyncSensorVisionClient(
        plan.url, **credential, **_unlimited()
    ) as client:
        _expect_all_delivered(await client.send_batch(first))
        with _measured():
            results = await client.send_batch(all_, max_concurrency=plan.concurrency)
        _expect_all_delivered(results)


async def _mqtt(plan: _Plan) -> None:
    async with sv.MQTTClient("127.0.0.1", port=plan.broker_port) as client:

        async def stream(device_id: str, values: dict[str, float]) -> None:
            await client.stream_data(device_id, values, token=plan.tokens[device_id])

        for device_id, values in plan.first_readings:
            await stream(device_id, values)
        left = iter(plan.readings)

        async def work() -> None:
            for device_id, values in left:
                await stream(device_id, values)

        with _measured():
            await asyncio.gather(*(work() for _ in range(plan.concurrency)))


def _unlimited() -> dict[str, Any]:
    """Switch off what keeps a client from overrunning a server, where there is such."""
    limit = getattr(sv, "RateLimit", None)
    return {"rate_limit": limit.off()} if limit else {}


def _now() -> dict[str, dt.datetime]:
    return {"timestamp": dt.datetime.now(dt.UTC)}


_WAYS: dict[str, Callable[[_Plan], Coroutine[Any, Any, None] | None]] = {
    "sync, one by one": _sync_one_by_one,
    "async, one by one": _async_one_by_one,
    "async, by hand": _async_by_hand,
    "sync, token batch": lambda plan: _sync_batch(plan, {"api_key": plan.token}),
    "async, token batch": lambda plan: _async_batch(plan, {"api_key": plan.token}),
    "sync, account batch": lambda plan: _sync_batch(plan, plan.account, **_now()),
    "async, account batch": lambda plan: _async_batch(plan, plan.account, **_now()),
    "MQTT QoS 1": _mqtt,
}


def main() -> None:
    """Do what the plan says."""
    told = json.loads(sys.argv[1])
    doing = _WAYS[told["way"]](_Plan(told))
    if doing is not None:
        asyncio.run(doing)


if __name__ == "__main__":
    main()
