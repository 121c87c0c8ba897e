"""Keep the board in its Wi-Fi network."""

import asyncio
import time

from micropython import const
import network

from .connection import Unreachable

_DEADLINE_MS = const(20000)
_POLL_MS = const(100)
_PAUSE_MS = const(1000)


class Wifi:
    """The station interface, driven by hand: a radio's own reconnecting can get stuck.

    Args:
        settings: `ssid`, `password` and the `country` whose radio rules hold, or None.
    """

    def __init__(self, settings: dict):
        self._ssid = settings["ssid"]
        self._password = settings["password"]
        if settings["country"]:
            network.country(settings["country"])
        self._wlan = network.WLAN(network.STA_IF)

    async def connect(self) -> None:
        """Join the network unless the board is in it.

        Raises:
            Unreachable: the board has no address before the deadline.
        """
        wlan = self._wlan
        if wlan.active() and wlan.isconnected():
            return
        start = time.ticks_ms()
        # Statuses differ between ports and can stick after an outage: off and on again.
        wlan.active(False)
        await asyncio.sleep_ms(_PAUSE_MS)
        wlan.active(True)
        self._configure()
        try:
            wlan.connect(self._ssid, self._password)
        except OSError:
            self._fail()
        while not wlan.isconnected():
            if time.ticks_diff(time.ticks_ms(), start) > _DEADLINE_MS:
                self._fail()
            await asyncio.sleep_ms(_POLL_MS)
        print(f"wifi: in {self._ssid} as {wlan.ifconfig()[0]}")

    def leave(self) -> None:
        """Leave the network, so that the next `connect` joins it anew."""
        self._wlan.active(False)

    def _configure(self):
        # Not every port knows each of these. Power saving costs seconds and lost links.
        for option in ({"reconnects": 0}, {"pm": getattr(network.WLAN, "PM_NONE", 0)}):
            try:
                self._wlan.config(**option)
            except (OSError, ValueError):
                pass

    def _fail(self):
        status = self._wlan.status()
        self._wlan.active(False)
        raise Unreachable(
            f"wifi {self._ssid} can't be joined (status {status}). Check ssid, password and range"
        )
