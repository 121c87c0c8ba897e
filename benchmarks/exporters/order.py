"""What a process that runs a Home Assistant core is to do."""

from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
from typing import Any, Self

from .modes import Mode


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a process that runs a Home Assistant core is to do.

    Attributes:
        mode: what exports its states.
        config_dir: its configuration directory, with whatever an earlier process has
            left: it goes on with the same entry and the same outbox.
        address: where to export to, as the destination says.
        sensors: how many there are, in devices of 20.
        first: the number that the first state to be set shows; each further one shows
            the next, at the next sensor.
        log: takes a line `[number, time]` for each state that was set, or None.
        is_log_safe: whether each line is in the file before the next state is set, so
            that a kill spares it; else they are written when the burst or pace ends.
        is_hurried: whether this integration sends without pauses, so that the server
            is soon told the names of all variables.
        follow: ids of the entities to export, or None for all.
        configuration: what is in configuration.yaml, if there is none yet.
        constants: of modules, by full name, with what they are to be instead.
        may_fail: whether it goes on if the exporter can't be set up yet, which Home
            Assistant then tries again.
    """

    mode: Mode
    config_dir: str
    address: dict[str, Any] = field(repr=False)
    sensors: int = 200
    first: int = 1
    log: str | None = None
    is_log_safe: bool = False
    is_hurried: bool = False
    follow: list[str] | None = None
    configuration: str = ""
    constants: dict[str, float] = field(default_factory=dict)
    may_fail: bool = False

    def write(self, path: Path) -> None:
        """Hand it over in a file, which keeps what is secret off the command line."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Take it over."""
        told = json.loads(path.read_text())
        return cls(**{**told, "mode": Mode(told["mode"])})
