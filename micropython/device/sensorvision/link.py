"""Keep the board in reach of its server: its network, and a clock that is right."""

from micropython import const

from .clock import is_set, now, set_clock
from .connection import Unreachable

_FAILURES_BEFORE_BOUNCE = const(3)
_DAY_S = const(86400)
_CLOCK_MS = const(30000)
_JOIN_MS = const(25000)


class Link:
    """The way into the network, by Wi-Fi or a cable.

    Args:
        settings: the board's; `wifi` is None where it has a cable.

    Attributes:
        clock_set_s: Unix seconds at which the clock was set, 0 if that is not known.
        is_joined: whether the network was there when it was looked at last.
        longest_ms: how long `up` takes at most.
        is_trusted: whether something has reached the server since that was asked last.
    """

    def __init__(self, settings: dict):
        self.clock_set_s = 0
        self.is_joined = True
        self.longest_ms = _CLOCK_MS
        self.is_trusted = False
        self._hosts = settings["ntp"]
        self._failures = 0
        self._wifi = None
        if settings["wifi"]:
            from .wifi import Wifi

            self._wifi = Wifi(settings["wifi"])
            self.longest_ms += _JOIN_MS * len(settings["wifi"])

    async def up(self, needs_clock: bool) -> None:
        """Join the network and set the clock, as far as that has not been done.

        Args:
            needs_clock: whether something is to be done that needs the right time. The
                clock is then set anew once a day, as crystals drift.

        Raises:
            Unreachable: there is no network, or nobody to tell a needed time.
        """
        if self._wifi:
            self.is_joined = False
            await self._wifi.connect()
            self.is_joined = True
        if not needs_clock or (is_set() and now() - self.clock_set_s < _DAY_S):
            return
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
        if self._wifi and self._failures % _FAILURES_BEFORE_BOUNCE == 0:
            self._wifi.wlan.active(False)

    def rssi(self) -> int | None:
        """Return the strength of the network's signal in dBm, None without a radio."""
        if self._wifi and self.is_joined:
            return self._wifi.wlan.status("rssi")
        return None

    def down(self) -> None:
        """Switch the radio off; the next `up` switches it on."""
        if self._wifi:
            wlan = self._wifi.wlan
            wlan.active(False)
            # The Pico's radio goes on drawing power until its driver ends too.
            if hasattr(wlan, "deinit"):
                wlan.deinit()
