"""The programs in which a client is measured, in the words of MicroPython.

What stands in braces is the client's: to connect, send and close, indented as named.
"""

_WARM_UP_SENDS = 3
COUNTED_SENDS = 10
"""How many sends are looked at where a few will do."""

ONCE = """
{send}
print("sent")
"""
"""Sends one reading."""

ALLOCATED = f"""
for _ in range({_WARM_UP_SENDS}):
{{send_inside}}
gc.collect()
gc.disable()
used = [0] * {COUNTED_SENDS}
for number in range({COUNTED_SENDS}):
    before = gc.mem_alloc()
{{send_inside}}
    used[number] = gc.mem_alloc() - before
used.sort()
print(used[{COUNTED_SENDS} // 2])
"""
"""Prints the bytes of heap that a send takes."""

KEPT = """
times = []
for _ in range({count}):
    began = time.ticks_us()
{send_inside}
    times.append(time.ticks_diff(time.ticks_us(), began))
# The first may have made the connection.
times = sorted(times[1:])
print(times[len(times) // 2])
"""
"""Prints the microseconds of a send over one connection."""

FRESH = """
times = []
{close}
for _ in range({count}):
    began = time.ticks_us()
{connect_inside}
{send_inside}
{close_inside}
    times.append(time.ticks_diff(time.ticks_us(), began))
times.sort()
print(times[len(times) // 2])
"""
"""Prints the microseconds of a send with a connection of its own."""

LOADED = """
{send}
import sys
print(":".join(module.__file__ for module in sys.modules.values() if hasattr(module, "__file__")))
"""
"""Sends one reading, and prints the files of what is loaded by then."""

REPEATED = """
for _ in range({count}):
{send_inside}
print("sent")
"""
"""Sends some readings."""

GROWTH = """
heaps = []
for _ in range({checks}):
    for _ in range({count}):
{send_deeper}
    gc.collect()
    heaps.append(gc.mem_alloc())
print(" ".join(str(heap) for heap in heaps))
"""
"""Prints the bytes of heap in use after each so many sends."""
