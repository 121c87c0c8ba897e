"""Read the sensors and deliver what they measure, for as long as there is power."""

import asyncio
import gc
import time

from machine import WDT
from micropython import const

from .clock import is_set, set_clock
from .connection import Unreachable
from .delivery import Delivery
from .http import HttpClient
from .outbox import Outbox
from .sensors import SensorError, find

_WATCH_MS = const(1000)
_LONGEST_SENSOR_MS = const(15000)
_LONGEST_WIFI_MS = const(25000)
_MOST_READINGS = const(200)
_FAILURES_BEFORE_BOUNCE = const(3)


class Node:
    """One board: its sensors, its outbox and the way to its server.

    Args:
        settings: complete, as `settings.load` returns them.
        client: what exchanges requests and answers with the server.
    """

    def __init__(self, settings: dict, client: HttpClient):
        self._interval_ms = settings["interval_s"] * 1000
        self._exchange_ms = settings["timeout_s"] * 1000
        self._watchdog_s = settings["watchdog_s"]
        self._sensors = [Source(options) for options in settings["sensors"]]
        # Two intervals: one that is missed is no reason to have nothing to say.
        self._outbox = Outbox(2 * settings["interval_s"] + settings["timeout_s"], _MOST_READINGS)
        self._delivery = Delivery(settings, self._outbox, client, _Link(settings["wifi"]))
        self._is_filled = asyncio.Event()
        self._watchdog = None
        # When each loop will have made its next step at the latest.
        self._due = {}

    async def run(self) -> None:
        """Run both loops and the watch over them; returns only by an exception."""
        if self._watchdog_s:
            self._watchdog = WDT(timeout=self._watchdog_s * 1000)
        await asyncio.gather(self._read(), self._deliver(), self._watch())

    def keep_awake(self) -> None:
        """Feed the watchdog for the person at the prompt: nothing can switch it off."""
        if self._watchdog:
            from machine import Timer

            Timer(0).init(period=_WATCH_MS, callback=lambda _: self._watchdog.feed())

    async def _read(self):
        next_ms = time.ticks_ms()
        while True:
            for sensor in self._sensors:
                self._promise("read", _LONGEST_SENSOR_MS)
                self._outbox.put(await sensor.read())
            self._is_filled.set()
            gc.collect()
            next_ms = time.ticks_add(next_ms, self._interval_ms)
            wait_ms = time.ticks_diff(next_ms, time.ticks_ms())
            if wait_ms < 0:
                next_ms = time.ticks_ms()
                wait_ms = 0
            await self._rest("read", wait_ms)

    async def _deliver(self):
        while True:
            if not self._outbox.has_any():
                self._is_filled.clear()
                self._due.pop("deliver", None)
                await self._is_filled.wait()
            self._promise("deliver", _LONGEST_WIFI_MS + self._exchange_ms)
            await self._rest("deliver", await self._delivery.send())
            gc.collect()

    async def _watch(self):
        while True:
            now = time.ticks_ms()
            for name, due in self._due.items():
                if time.ticks_diff(now, due) > 0:
                    raise RuntimeError(name + " is stuck")
            if self._watchdog:
                self._watchdog.feed()
            await asyncio.sleep_ms(_WATCH_MS)

    def _promise(self, name, within_ms):
        self._due[name] = time.ticks_add(time.ticks_ms(), within_ms)

    async def _rest(self, name, wait_ms):
        self._promise(name, wait_ms + _LONGEST_SENSOR_MS)
        await asyncio.sleep_ms(wait_ms)


class _Link:
    def __init__(self, settings):
        self._failures = 0
        self._wifi = None
        if settings:
            from .wifi import Wifi

            self._wifi = Wifi(settings)

    async def up(self, needs_clock):
        if self._wifi:
            await self._wifi.connect()
        if needs_clock and not (is_set() or await set_clock()):
            raise Unreachable("the clock can't be set, and certificates need it")

    def trust(self):
        self._failures = 0

    def distrust(self):
        self._failures += 1
        if self._wifi and self._failures % _FAILURES_BEFORE_BOUNCE == 0:
            # Some radios believe to be connected long after the network has gone.
            self._wifi.leave()


class Source:
    """One sensor as the settings describe it, silent about a fault that it has told."""

    def __init__(self, options: dict):
        self._options = options
        self._sensor = None
        self._fault = None
        self._prefix = options["name"] + "_" if options["name"] else ""

    async def read(self) -> dict[str, float]:
        """Return numbers by variable name, none while the sensor fails."""
        fault = None
        readings = {}
        try:
            if self._sensor is None:
                self._sensor = find(self._options["type"])(self._options)
            readings = await self._sensor.read()
        except SensorError as err:
            fault = str(err)
        except Exception as err:
            # Whatever one sensor's driver does, the other sensors go on.
            fault = repr(err)
        if fault != self._fault:
            self._fault = fault
            print(
                "sensor {}{}: {}".format(
                    self._prefix, self._options["type"], fault or "answers again"
                )
            )
        return {self._prefix + name: value for name, value in readings.items()}
