"""Choosing: a mirror of a large house, set up, changed, upset and deleted.

Measures for how long the event loop is held while a mirror follows its choice, beside
the helpers that Home Assistant has for the same.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
import gc
from pathlib import Path
import tempfile

from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)

from benchmarks.house import running_house
from benchmarks.meter import Meter
from benchmarks.server import Server, running_server
from custom_components.sensorvision.choice import Choice
from custom_components.sensorvision.names import Names
from custom_components.sensorvision.selection import Registry, describe

from .report import Report
from .subjects import (
    PREFIX,
    EntityFilter,
    Mirror,
    Nobody,
    TargetTracker,
    choices_of,
    filter_of,
)
from .turn import Turn

_OURS = "this mirror"
_TRACKER = "target helper"
_FILTER = "entity filter"
_FLOOR = "nobody"

_TURNS = (
    (_FLOOR, "label"),
    (_TRACKER, "label"),
    (_OURS, "label"),
    (_TRACKER, "area"),
    (_OURS, "area"),
    (_FILTER, "pattern"),
    (_OURS, "pattern"),
)

_CANNOT = {
    _TRACKER: "follows no domains and globs, leaves nothing out, and sends nothing",
    _FILTER: "knows no labels, areas, floors or devices, and sends nothing of what is "
    "there already; it is asked for each new state, so it has nothing to set right",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--entities", type=int, default=10_000, help="in the house (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="to take medians of (%(default)s)"
    )
    parser.add_argument(
        "--linger",
        type=float,
        default=1.5,
        metavar="SECONDS",
        help="how long to go on measuring when all is right (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if a mirror did not hold what it should."""
    meter = Meter()
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(meter)
    ) as runner:
        return runner.run(_run(meter, options))


async def _run(meter: Meter, options: argparse.Namespace) -> int:
    report = Report("choose", entities=options.entities, rounds=options.rounds)
    async with running_server() as server:
        for round_number in range(1, options.rounds + 1):
            # They take turns: what else the machine does then troubles all alike.
            for subject_name, choice_name in _TURNS:
                with tempfile.TemporaryDirectory() as folder:
                    async with running_house(Path(folder), options.entities) as house:
                        turn = Turn(
                            house,
                            choices_of(house)[choice_name],
                            subject_name,
                            meter,
                            report,
                            options.linger,
                            round_number,
                        )
                        await _PLAYS[subject_name](turn, server)
                # The next one is not to pay for what is left of this one.
                gc.collect()
    report.finish(_OURS, _CANNOT)
    return 0 if report.is_good else 1


async def _play_floor(turn: Turn, _server: Server) -> None:
    await turn.storms(Nobody())


async def _play_tracker(turn: Turn, _server: Server) -> None:
    target = TargetSelection(turn.choice.target)
    turn.clock(
        "resolve once",
        lambda: async_extract_referenced_entity_ids(
            turn.house.hass, target, expand_group=False, primary_entities_only=False
        ),
    )
    tracker = TargetTracker(turn.house.hass)
    await turn.add(tracker)
    if turn.choice.name == "label":
        # By area they cost it as much, and half a minute again.
        await turn.storms(tracker)
    await turn.remove(tracker)


async def _play_filter(turn: Turn, _server: Server) -> None:
    is_chosen = filter_of(turn.choice)
    turn.clock("resolve once", lambda: list(map(is_chosen, turn.house.entity_ids)))
    entity_filter = EntityFilter(turn.house.hass)
    await turn.add(entity_filter)
    await turn.storms(entity_filter)
    await turn.remove(entity_filter)


async def _play_ours(turn: Turn, server: Server) -> None:
    hass, entity_ids = turn.house.hass, turn.house.entity_ids
    choice = Choice.of(turn.choice.data)
    turn.clock("resolve once", lambda: Registry(hass).select(choice))
    if turn.choice.name == "label":
        names = Names(PREFIX, None)
        turn.clock("name all", lambda: _address_all(turn, names))
        turn.clock("find all names", lambda: _address_all(turn, names))
    mirror = Mirror(turn.house, server)
    await mirror.prepare()
    await turn.add(mirror)
    counts = {"followed": len(mirror.followed()), "captured": mirror.captured()}
    expected = dict.fromkeys(counts, len(entity_ids))
    if turn.choice.name == "label":
        await turn.measure("deliver", _nothing, mirror.is_delivered)
        counts["delivered"] = mirror.runtime.status.delivered
        expected["delivered"] = len(entity_ids)
    await turn.measure("change", mirror.change, mirror.is_caught_up)
    await mirror.unload()
    await turn.measure("start", mirror.start, mirror.is_caught_up)
    before = mirror.runtime.stored_names()["variables"]
    await turn.storms(mirror)

    selected = Registry(hass).select(choice).entity_ids
    stored = mirror.runtime.stored_names()
    fresh = Names(PREFIX, stored)
    given = len(fresh)
    for entity_id in mirror.followed():
        fresh.address(describe(hass, entity_id))
    counts |= {
        "not_as_chosen": len(selected ^ mirror.followed()),
        "not_named": len(fresh) - given,
        "names_changed": sum(stored["variables"][key] != before[key] for key in before),
    }
    expected |= {"not_as_chosen": 0, "not_named": 0, "names_changed": 0}
    turn.judge(counts, expected)
    await turn.remove(mirror)


def _address_all(turn: Turn, names: Names) -> None:
    for entity_id in turn.house.entity_ids:
        names.address(describe(turn.house.hass, entity_id))


async def _nothing() -> None:
    """Do nothing but wait for what is under way."""


_PLAYS: dict[str, Callable[[Turn, Server], Awaitable[None]]] = {
    _FLOOR: _play_floor,
    _TRACKER: _play_tracker,
    _FILTER: _play_filter,
    _OURS: _play_ours,
}
