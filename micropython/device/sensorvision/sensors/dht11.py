"""Measure temperature and humidity with a DHT11, the blue one; a DHT22 is asked the same way."""

import asyncio
import time

from . import SensorError, const

_INTERVAL_MS = const(2100)
_TRIES = const(3)


class DHT11:
    """A DHT11 or DHT22 on one pin; each frame holds what it measured when asked before."""

    OPTIONS = {"pin": (int, 4, 4, 0, 48)}

    def __init__(self, options: dict):
        self.pin = options["pin"]
        self._asked_ms = None

    async def read(self) -> dict[str, float]:
        """Measure once, after two seconds of rest, and ask again when a frame is broken.

        Returns:
            `temperature` in degrees Celsius and `humidity` in percent.

        Raises:
            SensorError: no frame of three was whole and plausible.
        """
        if self._asked_ms is None:
            self._asked_ms = time.ticks_ms()
            # Also lets the sensor wake up; its first frame is older than the board's start.
            await self._ask()
        for _ in range(_TRIES):
            problem, readings = await self._ask()
            if readings:
                return readings
        # A sensor that comes back later starts anew.
        self._asked_ms = None
        raise SensorError(
            f"{problem} on pin {self.pin}. "
            "Check power, ground, data wire and its pull-up of 10 kOhm"
        )

    async def _ask(self):
        from machine import Pin, dht_readinto

        rested_ms = time.ticks_diff(time.ticks_ms(), self._asked_ms)
        await asyncio.sleep_ms(_INTERVAL_MS - rested_ms)
        self._asked_ms = time.ticks_ms()
        frame = bytearray(5)
        try:
            dht_readinto(Pin(self.pin), frame)
        except OSError:
            return "no answer", None
        humidity, wet_rest, temperature, warm_rest, check = frame
        # A DHT22 has 3 there at most, and no DHT11 measures air as dry as that.
        if humidity > 3:
            # Whole numbers, and tenths in the newer ones (data sheet of the DHT11, 5.1).
            step = 10
            is_frost = warm_rest & 128
            warm_rest &= 127
        else:
            # Tenths in two bytes each (data sheet of the DHT22, 7.1).
            step = 256
            is_frost = temperature & 128
            temperature &= 127
        humidity = (humidity * step + wet_rest) / 10
        temperature = (temperature * step + warm_rest) / 10
        if is_frost:
            temperature = -temperature
        # Nothing but zeros, as from a data wire on ground, has a right checksum.
        if (
            sum(frame[:4]) & 255 != check
            or not any(frame)
            or humidity > 100
            or not -40 <= temperature <= 80
        ):
            return "a broken frame", None
        return None, {"temperature": temperature, "humidity": humidity}
