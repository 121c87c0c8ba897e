"""Keep the board in one of its Wi-Fi networks."""

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

    Whoever wants a network left switches `wlan` off; the next `connect` joins it anew.

    Args:
        networks: each as `settings.load` returns it; tried in turn, the one that worked
            last before the others.
    """

    def __init__(self, networks: list):
        self._networks = networks
        self.wlan = network.WLAN(network.STA_IF)

    async def connect(self) -> None:
        """Join a network unless the board is in one.

        Raises:
            Unreachable: the board has no address before the deadlines.
        """
        wlan = self.wlan
        if wlan.active() and wlan.isconnected():
            return
        failed = ""
        for chosen in self._networks:
            ssid = chosen["ssid"]
            if await self._join(chosen):
                self._networks.remove(chosen)
                self._networks.insert(0, chosen)
                print(f"wifi: in {ssid} as {wlan.ifconfig()[0]}")
                return
            failed += f"{ssid} (status {wlan.status()}) "
        wlan.active(False)
        raise Unreachable(f"wifi {failed}can't be joined. Check ssid, password and range")

    async def _join(self, chosen):
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
        if chosen["address"]:
            wlan.ifconfig([chosen[key] for key in ("address", "netmask", "gateway", "dns")])
        try:
            wlan.connect(chosen["ssid"], chosen["password"])
        except OSError:
            return False
        start = time.ticks_ms()
        while not wlan.isconnected():
            if time.ticks_diff(time.ticks_ms(), start) > _DEADLINE_MS:
                return False
            await asyncio.sleep_ms(_POLL_MS)
        return True
