"""Read the sensors and deliver what they measure, for as long as there is power."""

import asyncio
import gc
import sys
import time

from machine import WDT, reset
from micropython import const

from . import clock
from .health import Health
from .link import Link
from .sending import make
from .sensors import SensorError, find

_WATCH_MS = const(1000)
# After so long without a sign of life a loop is stuck, and the board is reset. What blocks
# everything is ended by the watchdog, after watchdog_s.
_LONGEST_SENSOR_MS = const(15000)
_LONGEST_UPDATE_MS = const(600000)
_MARGIN_MS = const(5000)
# A reset sometimes mends a radio, or a heap in pieces.
_HOPELESS_MS = const(3600000)
_MOST_SHORTAGES = const(3)
_MOST_IN_MEMORY = const(60)

# See health.py.
_SENSOR = const(1)
_WIFI = const(2)
_SERVER = const(3)


class Stuck(Exception):
    """The board has to start again; the message says why."""

    error = 5


class Node:
    """One board: its sensors, its outbox and the way to its server.

    Args:
        settings: complete, as `settings.load` returns them.
        ca: the DER certificate of the authority that vouches for the server, or None.

    Attributes:
        settings: the same.
        client: what talks to the server.
        due: until when each loop shows a sign of life, or it is stuck.
        health: what ails the board.
        link: what keeps it in its network.
        outbox: what waits for the server.
        sender: what brings it there.
        sources: its sensors.
        trouble: the number of what is wrong now, 0 for nothing.
        update_s: when a newer version is looked for, on the board's clock.
    """

    def __init__(self, settings: dict, ca: bytes | None):
        self.settings = settings
        self.due = {}
        self.trouble = self.update_s = self._shortages = 0
        self.client, sender = make(settings, ca)
        self.health = Health(settings["health_s"])
        self.link = Link(settings)
        # Two intervals: one that is missed is no reason to have nothing to say.
        max_age_s = 2 * settings["interval_s"] + settings["timeout_s"]
        store = settings["store"]
        if store:
            from .store import Store

            self.outbox = Store(
                "/readings", store["kb"], store["every"], store["every_s"], max_age_s
            )
        else:
            from .outbox import Outbox

            self.outbox = Outbox(max_age_s, _MOST_IN_MEMORY)
        self.sources = [Source(options) for options in settings["sensors"]]
        self.sender = sender(settings, self.outbox, self.client, self.link)
        self._ca = ca
        self._success_ms = time.ticks_ms()
        self._is_filled = asyncio.Event()
        self._update = self._watchdog = None
        # In the place of a light's pin: takes a level and does nothing.
        self._light = bool

    async def run(self) -> None:
        """Run the loops and the watch over them; returns only by an exception."""
        settings = self.settings
        if settings["watchdog_s"]:
            self._watchdog = WDT(timeout=settings["watchdog_s"] * 1000)
        tasks = [self._watch()]
        if settings["led"] is not None:
            from machine import Pin

            from .led import blink

            # On until something is delivered.
            self._light = Pin(settings["led"], Pin.OUT, value=1)
            tasks.append(blink(self._light, self))
        if settings["update"]:
            from . import update

            self._update = update
        if settings["sleep"]:
            from .power import live

            tasks.append(live(self))
        else:
            tasks += (self._read(), self._deliver())
        await asyncio.gather(*tasks)

    def keep_awake(self) -> None:
        """Feed the watchdog for the person at the prompt: nothing can switch it off."""
        if self._watchdog:
            from machine import Timer

            # RP2 has no timer with a number.
            Timer(-1 if sys.platform == "rp2" else 0).init(
                period=_WATCH_MS, callback=lambda _: self.feed()
            )

    def feed(self) -> None:
        """Feed the watchdog, if it runs."""
        if self._watchdog:
            self._watchdog.feed()

    async def read(self) -> None:
        """Read each sensor once, into the outbox."""
        for source in self.sources:
            self._promise("read", _LONGEST_SENSOR_MS)
            fault = source.fault
            self.outbox.put(await source.read())
            if source.fault != fault:
                self.health.note(_SENSOR if source.fault else 0)
        # Whoever sleeps sends next, which may take longer.
        del self.due["read"]
        gc.collect()

    async def send(self) -> int:
        """Send something of what waits, and do what is to be done after a success.

        Returns:
            Milliseconds to wait before the next call, 0 after a success.
        """
        settings = self.settings
        link = self.link
        self._promise("deliver", link.longest_ms + settings["timeout_s"] * 1000 + _MARGIN_MS)
        self._light(1)
        link.is_trusted = False
        try:
            wait_ms = await self.sender.send()
        except MemoryError:
            self._shortages += 1
            if self._shortages == _MOST_SHORTAGES:
                raise
            wait_ms = _WATCH_MS
        self._light(0)
        gc.collect()
        now_ms = time.ticks_ms()
        if link.is_trusted:
            self._success_ms = now_ms
            self._shortages = 0
            self.trouble = int(any(source.fault for source in self.sources))
            self.health.report(self.outbox)
            if self._update:
                await self._look_for_update()
        elif wait_ms:
            self.trouble = _SERVER if link.is_joined else _WIFI
            self.health.note(self.trouble)
            # What waits in memory alone, with its time, must not be lost by this.
            is_kept = settings["store"] or not settings["mqtt"]
            if is_kept and time.ticks_diff(now_ms, self._success_ms) > _HOPELESS_MS:
                raise Stuck("nothing was delivered for an hour")
        return wait_ms

    async def _look_for_update(self):
        self._update.confirm()
        if clock.now() >= self.update_s:
            self.update_s = clock.now() + self.settings["update"]["every_s"]
            self._promise("deliver", _LONGEST_UPDATE_MS)
            # Its memory is needed, and the other server may be the same.
            self.client.close()
            if await self._update.check(self.settings["update"], self._ca, self.link):
                self.outbox.flush()
                reset()

    async def _read(self):
        next_ms = time.ticks_ms()
        while True:
            await self.read()
            self._is_filled.set()
            next_ms = time.ticks_add(next_ms, self.settings["interval_s"] * 1000)
            wait_ms = time.ticks_diff(next_ms, time.ticks_ms())
            if wait_ms < 0:
                next_ms = time.ticks_ms()
                wait_ms = 0
            await self._rest("read", wait_ms)

    async def _deliver(self):
        while True:
            if not self.outbox.has_any():
                self._is_filled.clear()
                self.due.pop("deliver", None)
                await self._is_filled.wait()
            await self._rest("deliver", await self.send())

    async def _watch(self):
        while True:
            for name, due in self.due.items():
                if time.ticks_diff(time.ticks_ms(), due) > 0:
                    raise Stuck(name + " is stuck")
            if self._update:
                left_ms = self._update.trial_left_ms()
                if left_ms is not None and left_ms <= 0:
                    raise Stuck("the new version delivers nothing")
            self.feed()
            await asyncio.sleep_ms(_WATCH_MS)

    async def _rest(self, name, wait_ms):
        self._promise(name, wait_ms + _LONGEST_SENSOR_MS)
        await asyncio.sleep_ms(wait_ms)

    def _promise(self, name, within_ms):
        self.due[name] = time.ticks_add(time.ticks_ms(), within_ms)


class Source:
    """One sensor as the settings describe it, silent about a fault that it has told.

    Attributes:
        fault: what is wrong with it, or None.
        name: what messages call it.
    """

    def __init__(self, options: dict):
        self._options = options
        self._sensor = self.fault = None
        self._prefix = options["name"] and options["name"] + "_"
        self.name = self._prefix + options["type"]

    async def read(self) -> dict[str, float]:
        """Return numbers by variable name, none while the sensor fails."""
        fault = None
        readings = {}
        try:
            if not self._sensor:
                self._sensor = find(self._options["type"])(self._options)
            readings = await self._sensor.read()
        except SensorError as err:
            fault = str(err)
        except Exception as err:
            # Whatever one sensor's driver does, the other sensors go on.
            fault = repr(err)
        if fault != self.fault:
            self.fault = fault
            print(f"sensor {self.name}: {fault or 'answers again'}")
        return {self._prefix + name: value for name, value in readings.items()}
