"""Run a simulated board until it is told to stop."""

import os
from pathlib import Path
import signal
import sys

import click

from micropython.simulator.terminal import Terminal
from micropython.simulator.world import bme280, temperature_ramp, wlan, write_world


@click.command()
@click.option(
    "--flash", type=click.Path(path_type=Path), required=True, help="Image file."
)
@click.option(
    "--world",
    type=click.Path(path_type=Path),
    required=True,
    help="World file; a BME280 and a radio where there is none.",
)
@click.option(
    "--link", type=click.Path(path_type=Path), help="Symbolic link to the terminal."
)
@click.option("--heap", default="192k", show_default=True, help="The board's memory.")
@click.option(
    "--blocks", default=512, show_default=True, help="4 KB blocks of a new image."
)
@click.option(
    "--drive",
    type=click.Path(path_type=Path),
    help="Folder that its boot loader shows as a Pico's drive.",
)
def main(
    flash: Path,
    world: Path,
    link: Path | None,
    heap: str,
    blocks: int,
    drive: Path | None,
) -> None:
    """Play a board behind a pseudo-terminal, whose path is printed, until SIGTERM."""
    if not world.exists():
        write_world(world, {"i2c": [bme280(temperature_ramp())], "wlan": wlan()})
    terminal = Terminal(flash, world, heap=heap, blocks=blocks, drive=drive)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if link:
            link.unlink(missing_ok=True)
            link.symlink_to(terminal.path)
        click.echo(terminal.path)
        terminal.run()
    except KeyboardInterrupt:
        return
    finally:
        terminal.close()
        if link and os.path.lexists(link):
            link.unlink()


if __name__ == "__main__":
    main()
