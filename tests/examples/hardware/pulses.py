"""Time the pulses of a DHT22 that is not there, as the program does that Blinka starts.

It is told on a queue of System V to pull its pin low for a while (`t`), to listen no more
(`p`), to forget (`c`), and how many pulses there were (`l`) and how long each was (`^`).
The lengths are those of the AM2302's data sheet: 80 us low and high, then for each bit
50 us low and 26 us high for a 0 or 70 us for a 1.
"""

import collections
import json
import sys

queue_key, frames_json, *sys.path = sys.argv[1:]

import sysv_ipc  # noqa: E402 - its place is told by the arguments

_ANSWER = 80, 80
_LOW, _ZERO, _ONE, _END = 50, 26, 70, 50
_TO_US, _FROM_US = 1, 2


def pulses_of(frame):
    """Return how long the pin is low and high in turn while a frame of five bytes is sent."""
    pulses = list(_ANSWER)
    for byte in bytes.fromhex(frame):
        for bit in range(7, -1, -1):
            pulses += _LOW, _ONE if byte >> bit & 1 else _ZERO
    return [*pulses, _END]


def main():
    """Serve until the program that asks ends."""
    queue = sysv_ipc.MessageQueue(int(queue_key))
    frames = collections.deque(json.loads(frames_json))
    pulses = collections.deque(maxlen=81)
    queue.send("!", type=_FROM_US)
    while True:
        try:
            asked, _ = queue.receive(type=_TO_US)
        except sysv_ipc.ExistentialError:
            return
        match asked.decode()[0]:
            case "t" if frames:
                # Of more pulses than there is room for, the last are kept.
                pulses.extend(pulses_of(frames[0]))
                frames.rotate(-1)
            case "c":
                pulses.clear()
            case "l":
                queue.send(str(len(pulses)), type=_FROM_US)
            case "^":
                queue.send(str(pulses.popleft() if pulses else -1), type=_FROM_US)


main()
