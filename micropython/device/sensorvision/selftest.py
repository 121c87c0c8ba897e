"""Try everything once, and say step by step what works."""

import asyncio

from .clock import iso, now
from .connection import Unreachable
from .protocol import ValidationError
from .start import make_node


def run() -> None:
    """Print `selftest: STEP ok: TEXT` or `selftest: STEP failed: TEXT` for each step.

    Steps are `settings`, `sensor` with its name, `wifi`, `clock` where it is needed, and
    `delivery` of what the sensors have measured. What depends on a step that has failed is
    left out.
    """
    asyncio.run(_try())


async def _try():
    step = "settings"
    try:
        node = make_node()
        settings = node.settings
        _say(step, None, settings["url"])
        for source in node.sources:
            readings = await source.read()
            node.outbox.put(readings)
            _say("sensor " + source.name, source.fault, readings)
        link = node.link
        step = "wifi"
        await link.up(False)
        if link.wlan:
            _say(step, None, f"{link.wlan.status('rssi')} dBm")
        step = "clock"
        if settings["ca_file"] or settings["mqtt"]:
            await link.up(True)
            _say(step, None, iso(now()))
        problem = "nothing was measured"
        if node.outbox.has_any():
            await node.send()
            problem = None if link.is_trusted else node.sender.why
        _say("delivery", problem, "delivered")
        node.client.close()
    except (ValidationError, Unreachable) as err:
        _say(step, err)


def _say(step, problem, text=None):
    print(f"selftest: {step} {'failed' if problem else 'ok'}: {problem or text}")
