"""A Home Assistant core that exports, and what it exports to, for a bench."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answering import Answering, answering
from .destination import Destination, running_destination
from .modes import Mode
from .order import Order

_PACKAGE = __spec__.parent
_INITIAL_QUIET_S = 30


class NotPreparedError(Exception):
    """An exporter did not export what every sensor shows at first."""


@dataclass(frozen=True)
class Trial:
    """A core that has exported a first state of each sensor, ready to be measured.

    Attributes:
        subject: the process of the core.
        destination: where it exports to.
        first: the number that is to be set next.
    """

    subject: Answering
    destination: Destination
    first: int


@dataclass(frozen=True)
class Home:
    """A core's configuration, which outlives its processes.

    Attributes:
        mode: what exports its states.
        folder: takes the configuration directory, orders and logs.
        sensors: how many there are.
    """

    mode: Mode
    folder: Path
    sensors: int = 200

    @asynccontextmanager
    async def life(
        self, destination: Destination, first: int, **changes: Any
    ) -> AsyncIterator[Answering]:
        """Run its core until it is told to stop, killed, or the block ends.

        Args:
            destination: where to export to.
            first: the number that is to be set first.
            changes: of its order.
        """
        config_dir = self.folder / "config"
        config_dir.mkdir(exist_ok=True)
        order = self.folder / "order.json"
        Order(
            mode=self.mode,
            config_dir=str(config_dir),
            address=destination.address,
            sensors=self.sensors,
            first=first,
            **changes,
        ).write(order)
        log = self.folder / "subject.log"
        module = f"{_PACKAGE}.subject"
        async with answering(module, str(order), log=log) as subject:
            yield subject

    async def tell_names(self, destination: Destination) -> int:
        """Let the server know all devices and variables, which is done only once.

        Returns:
            The number that is to be set next.

        Raises:
            NotPreparedError: it did not come to know them.
        """
        async with self.life(destination, 1, is_hurried=True) as subject:
            await show_all(subject, destination, self.sensors)
            if self.mode is not Mode.TOKEN:
                await subject.tell(do="settle")
            await subject.tell(do="stop")
        return 1 + self.sensors


async def show_all(subject: Answering, destination: Destination, sensors: int) -> None:
    """Let each sensor show a number, and wait until all of them have arrived.

    Raises:
        NotPreparedError: they did not.
    """
    wanted = await destination.count() + sensors
    await subject.tell(do="burst", count=sensors)
    found = await destination.until(wanted, _INITIAL_QUIET_S)
    if found < wanted:
        raise NotPreparedError(f"{wanted - found} of {sensors} numbers did not arrive")


@asynccontextmanager
async def running(
    mode: Mode, folder: Path, sensors: int = 200, **changes: Any
) -> AsyncIterator[Trial]:
    """Run a core and what it exports to, until the block ends.

    Args:
        mode: what exports.
        folder: an empty one.
        sensors: how many there are.
        changes: of the core's order.

    Raises:
        NotPreparedError: it does not export what the sensors show at first.
    """
    home = Home(mode, folder, sensors)
    async with running_destination(mode, folder) as destination:
        first = await home.tell_names(destination) if mode.is_ours else 1
        async with home.life(destination, first, **changes) as subject:
            if mode.exports:
                await show_all(subject, destination, sensors)
            else:
                await subject.tell(do="burst", count=sensors)
            destination.clear()
            yield Trial(subject, destination, first + sensors)
