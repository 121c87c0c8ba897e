"""Keep the board in reach of its server: in one of its networks, its clock right."""

import asyncio

from micropython import const

from .clock import now, set_clock
from .connection import Unreachable

_FAILURES_BEFORE_BOUNCE = const(3)
_DAY_S = const(86400)
_CLOCK_MS = const(30000)
_JOIN_MS = const(25000)
_POLLS = const(100)
_POLL_MS = const(200)
_PAUSE_MS = const(1000)


class Link:
    """The way into the network, by Wi-Fi or a cable.

    The radio is driven by hand: its own reconnecting can get stuck. Where it is switched
    off, the next `up` joins a network anew.

    Args:
        settings: the board's; `wifi` is empty where it has a cable.

    Attributes:
        clock_set_s: Unix seconds at which the clock was set, 0 if that is not known.
        is_joined: whether the network was there when it was looked at last.
        longest_ms: how long `up` takes at most.
        is_trusted: whether something has reached the server since that was asked last.
        turn: whose turn among the networks it is, counted on and on.
        wlan: the radio, None where the board has a cable.
    """

    is_joined = True
    is_trusted = False
    clock_set_s = turn = _failures = 0
    wlan = None

    def __init__(self, settings: dict):
        self._hosts = settings["ntp"]
        self._networks = settings["wifi"]
        self.longest_ms = _CLOCK_MS + _JOIN_MS * len(self._networks)
        if self._networks:
            import network

            self.wlan = network.WLAN(network.STA_IF)

    async def up(self, needs_clock: bool) -> None:
        """Join the network and set the clock, as far as that has not been done.

        Args:
            needs_clock: whether something is to be done that needs the right time. The
                clock is then set anew once a day, as crystals drift.

        Raises:
            Unreachable: there is no network, or nobody to tell a needed time.
        """
        if self.wlan:
            self.is_joined = self.wlan.active() and self.wlan.isconnected()
            if not self.is_joined:
                await self._join_any()
        if needs_clock and now() - self.clock_set_s >= _DAY_S:
            if not await set_clock(self._hosts):
                raise Unreachable("the clock can't be set. Name a time server in ntp")
            self.clock_set_s = now()

    def trust(self) -> None:
        """Hear that something has reached the server."""
        self._failures = 0
        self.is_trusted = True

    def distrust(self) -> None:
        """Hear that nothing has: some radios believe to be connected long after it ended."""
        self._failures += 1
        if self._failures % _FAILURES_BEFORE_BOUNCE == 0:
            self.down()

    def down(self) -> None:
        """Switch the radio off; the next `up` switches it on."""
        if self.wlan:
            self.wlan.active(False)
            # The Pico's radio goes on drawing power until its driver ends too.
            if hasattr(self.wlan, "deinit"):
                self.wlan.deinit()

    async def _join_any(self):
        failed = ""
        for _ in self._networks:
            # The one that worked last comes first.
            chosen = self._networks[self.turn % len(self._networks)]
            ssid = chosen["ssid"]
            if await self._join(chosen):
                print(f"wifi: in {ssid} as {self.wlan.ifconfig()[0]}")
                self.is_joined = True
                return
            failed += f"{ssid} (status {self.wlan.status()}) "
            self.turn += 1
        self.wlan.active(False)
        raise Unreachable(f"wifi {failed}can't be joined. Check ssid, password and range")

    async def _join(self, chosen):
        import network

        wlan = self.wlan
        # Statuses differ between ports and can stick after an outage: off and on again.
        wlan.active(False)
        await asyncio.sleep_ms(_PAUSE_MS)
        if chosen["country"]:
            network.country(chosen["country"])
        wlan.active(True)
        # Not every port knows each of these. Power saving costs seconds and lost links.
        for option in ({"reconnects": 0}, {"pm": getattr(network.WLAN, "PM_NONE", 0)}):
            try:
                wlan.config(**option)
            except (OSError, ValueError):
                pass
        if chosen["static"]:
            wlan.ifconfig(chosen["static"])
        try:
            wlan.connect(chosen["ssid"], chosen["password"])
        except OSError:
            return False
        for _ in range(_POLLS):
            if wlan.isconnected():
                return True
            await asyncio.sleep_ms(_POLL_MS)
        return False
