"""Sleep between readings, and keep over a deep sleep what only memory has."""

import asyncio
import json
import time

import machine
from micropython import const

from .node import kept

# For whoever wants to stop the program before it sleeps for the first time.
_AWAKE_MS = const(10000)
_LONGEST_PAUSE_S = const(3600)
# ESP32's clock keeps 2048 bytes through a deep sleep; the first is the last error's.
_MOST_BYTES = const(2047)
_WOKEN = const(4)


async def live(node) -> None:
    """Read, send if it is time to, and sleep, again and again.

    A deep sleep is one only where the clock has a memory: a Pico's is no more than a light
    sleep and a reset (ports/rp2/modmachine.c), so there the program sleeps lightly and keeps
    all it knows.

    Args:
        node: the board's `node.Node`.
    """
    settings = node.settings
    outbox = node.outbox
    link = node.link
    is_deep = settings["sleep"] == "deep" and hasattr(machine.RTC(), "memory")
    every = settings["store"]["every"] if settings["mqtt"] and settings["store"] else 1
    # How often sending has failed, and at how many readings it is left out.
    failures = skip = 0
    is_first = not is_deep or node.cause != _WOKEN
    if not is_first:
        failures, skip, *moments, held = json.loads(kept()[1:])
        node.update_s, node.told_s, link.clock_set_s, link.turn = moments
        outbox.resume(held)
    while True:
        end_ms = time.ticks_add(time.ticks_ms(), settings["interval_s"] * 1000)
        await node.read()
        if skip:
            skip -= 1
        elif is_first or outbox.waiting >= every:
            wait_ms = 0
            while outbox.has_any() and not wait_ms:
                wait_ms = await node.send()
            failures = failures + 1 if wait_ms else 0
            skip = min((1 << failures) - 1, _LONGEST_PAUSE_S // settings["interval_s"])
        node.due.clear()
        if is_first:
            is_first = False
            await asyncio.sleep_ms(_AWAKE_MS)
        # The connection does not outlast the radio.
        node.client.close()
        link.down()
        if is_deep:
            _keep(node, failures, skip)
            machine.deepsleep(max(1, time.ticks_diff(end_ms, time.ticks_ms())))
        while (left_ms := time.ticks_diff(end_ms, time.ticks_ms())) > 0:
            # The watchdog goes on counting.
            machine.lightsleep(min(left_ms, settings["watchdog_s"] * 500 or left_ms))
            node.feed()
        # Lets the others run that have slept too.
        await asyncio.sleep_ms(0)


def _keep(node, failures, skip):
    link = node.link
    held = node.outbox.held()
    while True:
        moments = (node.update_s, node.told_s, link.clock_set_s, link.turn)
        state = json.dumps((failures, skip) + moments + (held,)).encode()
        if len(state) <= _MOST_BYTES:
            break
        # To flash, or else the oldest goes.
        node.outbox.flush()
        held = node.outbox.held() and held[1:]
    kept(bytes((node.error,)) + state)
