"""Tests on real parts: Home Assistant, MicroPython, brokers, databases and sockets."""
