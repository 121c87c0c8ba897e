"""Ask a DHT11 or DHT22 for a frame; the two differ in what its five bytes mean."""

import asyncio
import time

from . import SensorError, const

_INTERVAL_MS = const(2100)
_TRIES = const(3)


class Dht:
    """A sensor on one pin; each frame holds what it measured when it was asked before.

    A subclass's `_decode(frame)` returns temperature, humidity, and whether they can be
    true, which tells the two sensors apart.
    """

    OPTIONS = {"pin": (int, 4, 4, 0, 48)}

    def __init__(self, options: dict):
        self._number = options["pin"]
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
            try:
                await self._ask()
            except SensorError:
                pass
        left = _TRIES
        while True:
            left -= 1
            try:
                return await self._ask()
            except SensorError:
                if not left:
                    # A sensor that comes back later starts anew.
                    self._asked_ms = None
                    raise

    async def _ask(self):
        from machine import Pin, dht_readinto

        rested_ms = time.ticks_diff(time.ticks_ms(), self._asked_ms)
        await asyncio.sleep_ms(_INTERVAL_MS - rested_ms)
        self._asked_ms = time.ticks_ms()
        frame = bytearray(5)
        try:
            dht_readinto(Pin(self._number), frame)
        except OSError as err:
            raise SensorError(
                f"no answer on pin {self._number} (error {err.errno}). "
                "Check power, ground, data wire and its pull-up of 10 kOhm"
            ) from None
        if sum(frame[:4]) & 255 != frame[4]:
            raise SensorError(
                f"a broken frame on pin {self._number}. "
                "Shorten the wire or add a pull-up of 10 kOhm"
            )
        temperature, humidity, is_plausible = self._decode(frame)
        if not is_plausible:
            raise SensorError(
                f"{temperature} C and {humidity} % on pin {self._number} can't be true. "
                "Is it a DHT11 or a DHT22?"
            )
        return {"temperature": temperature, "humidity": humidity}
