"""The board's code on real MicroPython, and the tools that put it there."""
