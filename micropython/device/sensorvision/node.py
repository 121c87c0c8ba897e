"""Read the sensors and deliver what they measure, for as long as there is power."""

import asyncio
import gc
import sys
import time

import machine
from micropython import const

from . import clock
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
_BLINK_MS = const(200)
_DARK_MS = const(1500)

_SENSOR = const(1)
_WIFI = const(2)
_SERVER = const(3)
_MEMORY = const(4)
_STUCK = const(5)
_CRASH = const(6)
_WATCHDOG = const(7)

# See `Node`.
_BITTEN = const(3)
_WOKEN = const(4)


class Node:
    """One board: its sensors, its outbox and the way to its server.

    Errors have numbers, by gravity: 1 a sensor, 2 the network, 3 the server, 4 memory, 5 a
    loop that was stuck, 6 a crash, 7 the watchdog. The light blinks the first three.

    Beside its sensors' variables the board tells its own. `reset_cause` is 1 for power, 2 for
    the reset button or a reset by the program, 3 for the watchdog, 4 for the end of a deep
    sleep and 5 for a soft reset, as ESP32 and RP2 both number them. A Pico knows only 1 and
    3, which stands for each reset by the program too.

    Args:
        settings: complete, as `settings.load` returns them.
        ca: the DER certificate of the authority that vouches for the server, or None.

    Attributes:
        settings: the same.
        cause: of the last reset.
        client: what talks to the server.
        due: until when each loop shows a sign of life, or it is stuck.
        error: the gravest since the server was told last, 0 for none.
        link: what keeps it in its network.
        outbox: what waits for the server.
        sender: what brings it there.
        sources: its sensors.
        told_s: when the server was told of the board itself last, a stamp of the clock.
        update_s: when a newer version is looked for, on the board's clock.
    """

    update_s = _shortages = _sick = _trouble = 0
    _update = _watchdog = None
    # In the place of a light's pin: takes a level and does nothing.
    _light = bool

    def __init__(self, settings: dict, ca: bytes | None):
        self.settings = settings
        self._ca = ca
        self.due = {}
        self.client, sender = make(settings, ca)
        self.link = Link(settings)
        # Two intervals: one that is missed is no reason to have nothing to say.
        max_age_s = 2 * settings["interval_s"] + settings["timeout_s"]
        if settings["store"]:
            from .store import Store

            self.outbox = Store("/readings", max_age_s=max_age_s, **settings["store"])
        else:
            from .outbox import Outbox

            self.outbox = Outbox(max_age_s, _MOST_IN_MEMORY)
        self.sources = [Source(options) for options in settings["sensors"]]
        self.sender = sender(settings, self.outbox, self.client, self.link)
        self._success_ms = time.ticks_ms()
        self._is_filled = asyncio.Event()
        self.told_s = self._start_s = clock.stamp()
        self.cause = machine.reset_cause()
        self.error = kept()[0]
        if self.cause == _BITTEN and not self.error:
            self.error = _WATCHDOG
        # The end of a sleep is nothing new.
        self._has_news = self.cause != _WOKEN or self.error

    async def run(self) -> None:
        """Run the loops and the watch over them; returns only by an exception.

        Raises:
            RuntimeError: the board has to start again; the message says why.
        """
        settings = self.settings
        if settings["watchdog_s"]:
            self._watchdog = machine.WDT(timeout=settings["watchdog_s"] * 1000)
        tasks = [self._watch()]
        if settings["led"] is not None:
            # On until something is delivered.
            self._light = machine.Pin(settings["led"], machine.Pin.OUT, value=1)
            tasks.append(self._blink())
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
            # RP2 has no timer with a number.
            timer = machine.Timer(-1 if sys.platform == "rp2" else 0)
            timer.init(period=_WATCH_MS, callback=self.feed)

    def feed(self, _=None) -> None:
        """Feed the watchdog, if it runs."""
        if self._watchdog:
            self._watchdog.feed()

    async def read(self) -> None:
        """Read each sensor once, into the outbox."""
        self._sick = 0
        for source in self.sources:
            self._promise("read", _LONGEST_SENSOR_MS)
            fault = source.fault
            self.outbox.put(await source.read())
            if source.fault:
                self._sick = _SENSOR
            if source.fault != fault:
                self._note(self._sick)
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
        if link.is_trusted:
            self._success_ms = time.ticks_ms()
            self._shortages = 0
            self._trouble = self._sick
            self._tell()
            if self._update:
                self._update.confirm()
                if clock.now() >= self.update_s:
                    self.update_s = clock.now() + settings["update"]["every_s"]
                    self._promise("deliver", _LONGEST_UPDATE_MS)
                    # Its memory is needed, and the other server may be the same.
                    self.client.close()
                    if await self._update.check(settings["update"], self._ca, link):
                        self.outbox.flush()
                        machine.reset()
        elif wait_ms:
            self._trouble = _SERVER if link.is_joined else _WIFI
            self._note(self._trouble)
            # What waits in memory alone, with its time, must not be lost by this.
            since_ms = time.ticks_diff(time.ticks_ms(), self._success_ms)
            if since_ms > _HOPELESS_MS and (settings["store"] or not settings["mqtt"]):
                raise RuntimeError("nothing delivered for an hour")
        return wait_ms

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

    async def _blink(self):
        while True:
            # In a row as often as the number of the trouble says.
            for level in (1, 0) * self._trouble:
                self._light(level)
                await asyncio.sleep_ms(_BLINK_MS)
            await asyncio.sleep_ms(_DARK_MS)

    async def _watch(self):
        while True:
            for name, due in self.due.items():
                if time.ticks_diff(time.ticks_ms(), due) > 0:
                    raise RuntimeError(name + " is stuck")
            if self._update:
                left_ms = self._update.trial_left_ms()
                if left_ms is not None and left_ms <= 0:
                    raise RuntimeError("the new version delivers nothing")
            self.feed()
            await asyncio.sleep_ms(_WATCH_MS)

    async def _rest(self, name, wait_ms):
        self._promise(name, wait_ms + _LONGEST_SENSOR_MS)
        await asyncio.sleep_ms(wait_ms)

    def _promise(self, name, within_ms):
        self.due[name] = time.ticks_add(time.ticks_ms(), within_ms)

    def _note(self, error):
        # 0 where one has gone.
        self.error = max(self.error, error)
        self._has_news = True

    def _tell(self):
        every_s = self.settings["health_s"]
        now_s = clock.stamp()
        if every_s and (self._has_news or now_s - self.told_s >= every_s):
            self._has_news = False
            self.told_s = now_s
            self.outbox.put(
                {
                    "uptime_s": now_s - self._start_s,
                    "reset_cause": self.cause,
                    "last_error": self.error,
                    "dropped": self.outbox.dropped,
                    "superseded": self.outbox.superseded,
                    "free_memory": gc.mem_free(),
                }
            )
            if self.error:
                self.error = 0
                kept(b"\0" + kept()[1:])


class Source:
    """One sensor as the settings describe it, silent about a fault that it has told.

    Attributes:
        fault: what is wrong with it, or None.
        name: what messages call it.
    """

    fault = _sensor = None

    def __init__(self, options: dict):
        self._options = options
        self._prefix = options["name"] and options["name"] + "_"
        self.name = self._prefix + options["type"]

    async def read(self) -> dict[str, float]:
        """Return numbers by variable name, none while the sensor fails."""
        fault = None
        readings = {}
        try:
            if not self._sensor:
                self._sensor = find(self._options["type"])(self._options)
            for name, value in (await self._sensor.read()).items():
                readings[self._prefix + name] = value
        except Exception as err:
            # Whatever one sensor's driver does, the other sensors go on.
            fault = str(err) if isinstance(err, SensorError) else repr(err)
        if fault != self.fault:
            self.fault = fault
            print(f"sensor {self.name}: {fault or 'answers again'}")
        return readings


def kept(*content: bytes) -> bytes:
    """Return what outlasts a reset: the last error's number, and what `power` has added.

    Args:
        content: is kept from now on, if it is given.
    """
    # ESP32's clock has a memory; other boards write a file.
    memory = getattr(machine.RTC(), "memory", None)
    found = None
    try:
        if memory:
            found = memory(*content)
        else:
            with open("/last_error", "wb" if content else "rb") as file:
                found = file.write(*content) if content else file.read()
    except OSError:
        pass
    return found or b"\0"


def remember(err: Exception) -> None:
    """Keep the number of an error over the reset that is about to come."""
    error = _CRASH
    if isinstance(err, MemoryError):
        error = _MEMORY
    elif isinstance(err, RuntimeError):
        error = _STUCK
    before = kept()
    # A board that crashes again and again must not wear its flash out.
    if error > before[0]:
        kept(bytes((error,)) + before[1:])
