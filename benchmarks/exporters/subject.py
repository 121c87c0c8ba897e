"""``python -m benchmarks.exporters.subject ORDER``: a Home Assistant core that exports.

It prints a line of JSON when its exporter is set up, and answers each that it is told:

- ``begin``: measures from now on.
- ``burst``, with a ``count``: sets so many states as fast as it can.
- ``pace``, with a ``count`` and ``rate_hz``: sets so many, so many in a second.
- ``settle``: waits until this integration has told the server every name.
- ``busy``, with ``seconds``, ``rate_hz`` and ``tail_s``: changes the first sensor once a
  second and all others in turn; see `keep_busy`.
- ``measure``: says what it has cost since it began.
- ``memory``: says what it holds now.
- ``outbox``: says how many readings of this integration wait, and how many were replaced
  since it began.
- ``stop``: stops as Home Assistant does, which ends the process.

When nobody listens any more it ends at once, as killed.
"""

import argparse
import asyncio
from dataclasses import asdict
import gc
import importlib
import os
from pathlib import Path
import threading
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import (
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.runner import create_event_loop
from homeassistant.util.thread import deadlock_safe_shutdown

from benchmarks.house import save_registries, start_core
from custom_components import sensorvision
from custom_components.sensorvision.client.pace import Pace

from .answering import answer, tell_parent
from .busy import keep_busy
from .entries import ENTRY_ID, entry_of
from .order import Order
from .sensors import Sensors
from .watch import Watch, memory

_AT_ONCE = 100
_LOOK_EVERY_S = 0.05

# What InfluxDB's form needs to take a certificate, and nothing that exports.
_UNUSED_DEPENDENCIES = {"http", "file_upload"}


class Subject:
    """A running core with its exporter."""

    def __init__(self, hass: HomeAssistant, order: Order) -> None:
        """Export nothing yet."""
        self._hass = hass
        self._order = order
        self._sensors = Sensors(hass, order)
        self._watch = Watch()
        self._entry: ConfigEntry | None = None
        self._superseded_before = 0

    async def prepare(self) -> None:
        """Set up the exporter.

        Raises:
            RuntimeError: it could not be set up.
        """
        for name, value in self._order.constants.items():
            module, _, constant = name.rpartition(".")
            setattr(importlib.import_module(module), constant, value)
        await self._sensors.register()
        # Else that would be written while something is measured.
        await save_registries(self._hass)
        if self._order.mode.exports:
            await self._set_up()
        elif self._order.mode == "floor":
            self._hass.bus.async_listen(EVENT_STATE_CHANGED, _nothing)
        if not self._order.mode.is_ours:
            # This integration would take it for the end.
            await save_registries(self._hass)

    async def _set_up(self) -> None:
        if self._order.is_hurried:
            sensorvision.PACE = Pace(window_s=0.05, spacing_s=0.001)
        entries = self._hass.config_entries
        self._hass.config.components |= _UNUSED_DEPENDENCIES
        if entry := entries.async_get_entry(ENTRY_ID):
            await entries.async_setup(ENTRY_ID)
        else:
            order = self._order
            follow = order.follow or self._sensors.entity_ids
            entry = entry_of(order.mode, order.address, follow)
            await entries.async_add(entry)
        await self._hass.async_block_till_done()
        may_be = {ConfigEntryState.LOADED}
        if self._order.may_fail:
            may_be.add(ConfigEntryState.SETUP_RETRY)
        if entry.state not in may_be:
            raise RuntimeError(f"The entry was not set up: {entry.reason}")
        self._entry = entry

    async def act(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what it is told."""
        match order["do"]:
            case "begin":
                self._superseded_before = self._superseded
                gc.collect()
                gc.freeze()
                self._watch.begin()
                return {}
            case "burst":
                return await self._burst(order["count"])
            case "pace":
                return await self._pace(order["count"], order["rate_hz"])
            case "settle":
                return await self._settle()
            case "busy":
                return await self._keep_busy(order)
            case "measure":
                return await self._measure()
            case "memory":
                # What was noted for other benches is none of it.
                self._watch.begin()
                return memory()
            case "outbox":
                return self._outbox()
            case "stop":
                begun = time.monotonic()
                await self._hass.async_stop()
                return {"stop_s": time.monotonic() - begun, "is_last": True}
        raise ValueError(order["do"])

    async def _burst(self, count: int) -> dict[str, Any]:
        begun = time.monotonic()
        for nth in range(count):
            if nth % _AT_ONCE == 0:
                self._watch.something_happens()
                await asyncio.sleep(0)
            self._sensors.set_next()
        return self._was_set(begun)

    async def _pace(self, count: int, rate_hz: float) -> dict[str, Any]:
        begun = time.monotonic()
        for nth in range(count):
            left_s = begun + nth / rate_hz - time.monotonic()
            if left_s > 0:
                self._watch.something_happens()
                await asyncio.sleep(left_s)
            self._sensors.set_next()
        return self._was_set(begun)

    async def _keep_busy(self, order: dict[str, Any]) -> dict[str, Any]:
        bus = await keep_busy(
            self._sensors.set,
            self._order.sensors,
            seconds=order["seconds"],
            rate_hz=order["rate_hz"],
            tail_s=order["tail_s"],
        )
        return asdict(bus)

    def _was_set(self, begun: float) -> dict[str, Any]:
        self._sensors.write_log()
        return {"took_s": time.monotonic() - begun, "last": self._sensors.last}

    async def _settle(self) -> dict[str, Any]:
        """Wait until the server was told of every variable that it is to be told of."""
        registration = self._runtime.registration
        told: dict[str, int] = registration.as_shown()["told"]
        while told["variables"] < self._order.sensors:
            await asyncio.sleep(_LOOK_EVERY_S)
            told = registration.as_shown()["told"]
        return {"told": told}

    async def _measure(self) -> dict[str, Any]:
        superseded = self._superseded - self._superseded_before
        return {**await self._watch.measure(), "superseded": superseded}

    def _outbox(self) -> dict[str, Any]:
        outboxes = self._runtime.ways.outboxes if self._order.mode.is_ours else []
        return {
            "waiting": sum(len(outbox) for outbox in outboxes),
            "superseded": self._superseded - self._superseded_before,
        }

    @property
    def _runtime(self) -> sensorvision.Runtime:
        if self._entry is None or not self._order.mode.is_ours:
            raise ValueError("This is another exporter's")
        runtime: sensorvision.Runtime = self._entry.runtime_data
        return runtime

    @property
    def _superseded(self) -> int:
        """Return how many readings were replaced by newer ones before they were sent."""
        if not self._order.mode.is_ours:
            return 0
        return sum(outbox.superseded for outbox in self._runtime.ways.outboxes)


@callback
def _nothing(_event: Event[EventStateChangedData]) -> None:
    """Hear of a new state, and do nothing with it."""


async def _run(order: Order) -> None:
    config_dir = Path(order.config_dir)
    configuration = config_dir / "configuration.yaml"
    if not configuration.exists():
        configuration.write_text(order.configuration)
    hass = await start_core(config_dir)
    subject = Subject(hass, order)
    await subject.prepare()
    # Else now and then somebody has to wait until Python has looked for garbage in
    # all of Home Assistant, which takes longer than all that is measured.
    gc.collect()
    gc.freeze()
    tell_parent({"is_ready": True})
    await answer(subject.act)
    if not hass.is_stopping:
        os._exit(0)


def main() -> None:
    """Run until it is told to stop, or nobody listens any more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("order", type=Path)
    order = Order.read(parser.parse_args().order)
    # As Home Assistant itself does, so that a stop takes as long.
    threading._shutdown = deadlock_safe_shutdown  # type: ignore[attr-defined]  # noqa: SLF001
    with asyncio.Runner(loop_factory=create_event_loop) as runner:
        runner.run(_run(order))


if __name__ == "__main__":
    main()
