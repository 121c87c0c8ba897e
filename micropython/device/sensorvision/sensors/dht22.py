"""Measure temperature and humidity with a DHT22, also sold as AM2302."""

from .dht11 import DHT11


class DHT22(DHT11):
    """A DHT22, which differs from a DHT11 in its frames alone, and is known by them."""
