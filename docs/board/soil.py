"""Measure how wet soil is, with a capacitive sensor on an analogue pin."""

from . import SensorError


class SOIL:
    """A sensor whose voltage falls as the soil gets wetter."""

    # Type, an example, the default, and for numbers the smallest and the largest.
    OPTIONS = {
        "pin": (int, 34, 34, 0, 48),
        "dry": (int, 52000, 52000, 1, 65535),
        "wet": (int, 21000, 21000, 0, 65535),
    }

    def __init__(self, options: dict):
        self._pin = options["pin"]
        self._dry = options["dry"]
        self._wet = options["wet"]

    async def read(self) -> dict[str, float]:
        """Measure once.

        Returns:
            `moisture` in percent of the way from dry to wet.

        Raises:
            SensorError: there is no voltage.
        """
        # Imported here, because a PC reads OPTIONS too and has no pins.
        from machine import ADC, Pin

        level = ADC(Pin(self._pin)).read_u16()
        if not level:
            raise SensorError(
                f"0 V on pin {self._pin}. Check the sensor's power and its wire"
            )
        return {
            "moisture": round(100 * (self._dry - level) / (self._dry - self._wet), 1)
        }
