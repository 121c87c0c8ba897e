"""Start everything, show what arrives, and stop everything again."""

import argparse
import asyncio
from contextlib import AsyncExitStack
import json
from pathlib import Path
import signal
import sys
import time
from typing import NoReturn

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from micropython.simulator import SimulatedBoard

from .arrivals import arrivals
from .board import ADDRESSES, simulated_board
from .check import Address, Verdict, judge
from .home_assistant import (
    PASSWORD,
    USERNAME,
    HomeAssistantApi,
    home_assistant,
    stored_names,
)
from .house import CHANGING, CHOSEN, LABEL, LABELLED, LOCK, RUNNING
from .moves import move
from .parts import require_home_assistant, require_micropython
from .processes import ROOT, StartError
from .server import Server, server

_FOLDER = ROOT / ".demo"
_CHECK_TIMEOUT_S = 90

_console = Console(stderr=True)


async def _demo(*, check: bool) -> int:
    _FOLDER.mkdir(exist_ok=True)
    if task := asyncio.current_task():
        # However it is ended, the parts that it has started end with it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as stack:
        _console.print("Starting SensorVision, Home Assistant and a board ...")
        sensorvision = await stack.enter_async_context(server(_FOLDER))
        house = await stack.enter_async_context(home_assistant(_FOLDER))
        entry_id = await _mirror(house, sensorvision)
        board = await stack.enter_async_context(simulated_board(_FOLDER, sensorvision))
        async with asyncio.TaskGroup() as tasks:
            mover = tasks.create_task(move(house))
            try:
                if check:
                    return await _check(house, sensorvision, board, entry_id, mover)
                await _show(house, sensorvision, board)
            finally:
                mover.cancel()
    return 0


async def _mirror(house: HomeAssistantApi, sensorvision: Server) -> str:
    """Connect the server and mirror a few entities, some of them by a label."""
    label_id = await house.label(LABEL, LABELLED)
    return await house.add_integration(
        {
            "url": sensorvision.url,
            "api_key": sensorvision.token,
            "prefix": "demo",
            "verify_ssl": True,
        },
        {
            "name": "Demo house",
            "target": {
                "entity_id": [*CHANGING, LOCK],
                "label_id": [label_id],
            },
        },
    )


async def _check(
    house: HomeAssistantApi,
    sensorvision: Server,
    board: SimulatedBoard,
    entry_id: str,
    mover: asyncio.Task[None],
) -> int:
    """Wait until all have delivered often enough, stop the house, and compare."""
    core = await require_home_assistant(house)
    firmware = require_micropython(await board.wait_for_line("sensorvision "))
    _console.print(f"Home Assistant {core}, MicroPython {firmware}")
    deadline = time.monotonic() + _CHECK_TIMEOUT_S
    verdict = await _verdict(house, sensorvision, entry_id)
    while not (verdict.delivered == verdict.entities and verdict.board_readings):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
        verdict = await _verdict(house, sensorvision, entry_id)
    mover.cancel()
    await house.call_action("input_boolean", "turn_off", RUNNING)
    # What is on its way needs a window and a lock its two seconds.
    deadline = time.monotonic() + 15
    while not (verdict := await _verdict(house, sensorvision, entry_id)).is_good:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    for entity_id in verdict.mismatches:
        _console.print(f"The last state of {entity_id} is not what is stored.")
    print(json.dumps(verdict.as_json()))
    return 0 if verdict.is_good else 1


async def _verdict(
    house: HomeAssistantApi, sensorvision: Server, entry_id: str
) -> Verdict:
    states = {
        entity_id: (await house.get(f"/api/states/{entity_id}"))["state"]
        for entity_id in CHOSEN
    }
    return judge(
        states,
        await _addresses(house, entry_id),
        ADDRESSES,
        arrivals(sensorvision.database),
    )


async def _addresses(house: HomeAssistantApi, entry_id: str) -> dict[str, Address]:
    """Return where the integration sends each entity's numbers."""
    registry = await house.command("config/entity_registry/list")
    entity_ids = {entry["id"]: entry["entity_id"] for entry in registry}
    try:
        names = stored_names(_FOLDER, entry_id)
    except FileNotFoundError:
        # They are written a second after they are given.
        return {}
    return {
        entity_ids.get(key, key): (device_id, variable)
        for key, (device_id, variable) in names.items()
    }


async def _show(
    house: HomeAssistantApi, sensorvision: Server, board: SimulatedBoard
) -> NoReturn:
    """Print where everything is, then what arrives, until cancelled."""
    _console.print(
        Panel(
            f"[bold]Home Assistant[/]  {house.url}  user {USERNAME}, "
            f"password {PASSWORD}\n"
            f"[bold]SensorVision[/]    {sensorvision.url}  user "
            f"{sensorvision.username}, password {sensorvision.password}\n"
            f"[bold]MQTT broker[/]     {sensorvision.mqtt_url}  no login\n"
            f"[bold]Device token[/]    {sensorvision.token}",
            title="Open in your browser",
            subtitle="Ctrl-C stops everything",
        )
    )
    with Live(console=_console, auto_refresh=False) as live:
        while True:
            live.update(_table(sensorvision.database, board), refresh=True)
            await asyncio.sleep(1)


def _table(database: Path, board: SimulatedBoard) -> Table:
    table = Table(
        title="What has arrived",
        caption=f"board: {board.lines[-1] if board.lines else 'starting'}",
        min_width=70,
    )
    table.add_column("device")
    table.add_column("variable")
    table.add_column("last value", justify="right")
    table.add_column("values", justify="right")
    table.add_column("age", justify="right")
    for (device_id, variable), what in sorted(arrivals(database).items()):
        table.add_row(
            device_id,
            variable,
            f"{what.last_value.normalize():f}",
            str(what.count),
            f"{max(0, time.time() - what.last_at):.0f} s",
        )
    return table


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--check",
        action="store_true",
        help="run until everything has arrived three times and compare, then stop",
    )
    options = parser.parse_args()
    code = 1
    try:
        code = asyncio.run(_demo(check=options.check))
    except* StartError as errors:
        for error in errors.exceptions:
            _console.print(f"[red]{error}[/]")
    except* KeyboardInterrupt, asyncio.CancelledError:
        _console.print("Stopped.")
        code = 130 if options.check else 0
    return code


if __name__ == "__main__":
    sys.exit(main())
