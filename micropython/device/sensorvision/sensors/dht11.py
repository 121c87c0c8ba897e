"""Measure temperature and humidity with a DHT11, the blue one."""

from ._dht import Dht


class DHT11(Dht):
    """A DHT11, whose frame holds whole numbers, and tenths in the newer ones (data sheet, 5.1)."""

    def _decode(self, frame):
        temperature = (frame[2] * 10 + (frame[3] & 127)) / 10
        if frame[3] & 128:
            temperature = -temperature
        humidity = (frame[0] * 10 + frame[1]) / 10
        # A DHT22's first byte is 3 at most, and no DHT11 measures air as dry as that.
        return temperature, humidity, frame[0] > 3 and humidity <= 100 and -20 <= temperature <= 60
