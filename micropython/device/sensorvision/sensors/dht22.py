"""Measure temperature and humidity with a DHT22, also sold as AM2302."""

from ._dht import Dht


class DHT22(Dht):
    """A DHT22, whose frame holds tenths in two bytes each (data sheet, 7.1)."""

    def _decode(self, frame):
        temperature = ((frame[2] & 127) << 8 | frame[3]) / 10
        if frame[2] & 128:
            temperature = -temperature
        humidity = (frame[0] << 8 | frame[1]) / 10
        # A DHT11 never says less than 4 %: here its frames are more than 100 %.
        return temperature, humidity, any(frame) and humidity <= 100 and -40 <= temperature <= 80
