"""Measure temperature and humidity with a DHT22, also sold as AM2302."""

import asyncio
import time

from . import SensorError

try:
    from micropython import const
except ImportError:  # CPython, which reads OPTIONS to check settings
    const = int

_INTERVAL_MS = const(2100)
_TRIES = const(3)


class DHT22:
    """A DHT22 on one pin; each frame holds what it measured when it was asked before."""

    OPTIONS = {"pin": (int, 4, 4, 0, 48)}

    def __init__(self, options: dict):
        self._number = options["pin"]
        self._pin = None
        self._frame = bytearray(5)
        self._asked_ms = None

    async def read(self) -> dict[str, float]:
        """Measure once, after two seconds of rest, and ask again when a frame is broken.

        Returns:
            `temperature` in degrees Celsius and `humidity` in percent.

        Raises:
            SensorError: no frame of three was whole and plausible.
        """
        if self._pin is None:
            from machine import Pin

            self._pin = Pin(self._number)
            # Also lets the sensor wake up; its first frame is older than the board's start.
            try:
                await self._ask()
            except SensorError:
                pass
        for left in range(_TRIES - 1, -1, -1):
            try:
                return await self._ask()
            except SensorError:
                if not left:
                    # A sensor that comes back later starts anew.
                    self._pin = None
                    raise
        return {}

    async def _ask(self):
        from machine import dht_readinto

        if self._asked_ms is not None:
            rested_ms = time.ticks_diff(time.ticks_ms(), self._asked_ms)
            await asyncio.sleep_ms(max(0, min(_INTERVAL_MS, _INTERVAL_MS - rested_ms)))
        else:
            await asyncio.sleep_ms(_INTERVAL_MS)
        self._asked_ms = time.ticks_ms()
        try:
            dht_readinto(self._pin, self._frame)
        except OSError as err:
            raise SensorError(
                f"no answer on pin {self._number} (error {err.errno}). Check power, ground, the data wire on pin {self._number} "
                "and its pull-up of 10 kOhm"
            ) from None
        return self._decode()

    def _decode(self):
        frame = self._frame
        if (frame[0] + frame[1] + frame[2] + frame[3]) & 255 != frame[4]:
            raise SensorError(
                f"a broken frame on pin {self._number}. Shorten the wire or add a pull-up of 10 kOhm"
            )
        humidity = (frame[0] << 8 | frame[1]) / 10
        temperature = ((frame[2] & 127) << 8 | frame[3]) / 10
        if frame[2] & 128:
            temperature = -temperature
        if not any(frame) or humidity > 100 or not -40 <= temperature <= 80:
            raise SensorError(
                f"{temperature} C and {humidity} % on pin {self._number} can't be true. Is it a DHT22, and no DHT11?"
            )
        return {"temperature": temperature, "humidity": humidity}
