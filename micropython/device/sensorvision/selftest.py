"""Try everything once, and say step by step what works."""

import asyncio

from .clock import iso, now
from .connection import Unreachable
from .start import Unusable, make_node


def run() -> None:
    """Print `selftest: STEP ok: TEXT` or `selftest: STEP failed: TEXT` for each step.

    Steps are `settings`, `sensor` with its name, `wifi`, `clock` where it is needed, and
    `delivery` of what the sensors have measured. What depends on a step that has failed is
    left out.
    """
    try:
        node = make_node()
    except Unusable as err:
        _say("settings", err)
        return
    _say("settings", None, node.settings["url"])
    asyncio.run(_try(node))
    node.client.close()


async def _try(node):
    for source in node.sources:
        readings = await source.read()
        node.outbox.put(readings)
        _say("sensor " + source.name, source.fault, readings)
    link = node.link
    networks = node.settings["wifi"]
    step = "wifi"
    try:
        await link.up(False)
        if networks:
            _say(step, None, f"{networks[0]['ssid']}, {link.rssi()} dBm")
        step = "clock"
        if node.settings["ca_file"] or node.settings["mqtt"]:
            await link.up(True)
            _say(step, None, iso(now()))
    except Unreachable as err:
        _say(step, err)
        return
    if node.outbox.has_any():
        await node.send()
        _say("delivery", None if link.is_trusted else node.sender.why)
    else:
        _say("delivery", "no sensor has measured anything")


def _say(step, problem, text="the server has it"):
    print(f"selftest: {step} {'failed' if problem else 'ok'}: {problem or text}")
