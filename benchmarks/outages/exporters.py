"""Who takes part: this integration's ways, and other exporters as their users have them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.exporters.modes import Mode


@dataclass(frozen=True)
class Exporter:
    """An exporter, set up in one way.

    Attributes:
        name: what it is called in reports.
        mode: what exports.
        configuration: what is in Home Assistant's configuration.yaml for it.
    """

    name: str
    mode: Mode
    configuration: str = ""


FLOOR = Exporter("floor", Mode.FLOOR)

EXPORTERS = (
    Exporter("influxdb v1", Mode.INFLUXDB_V1),
    Exporter(
        "influxdb v1, 3 retries", Mode.INFLUXDB_V1, "influxdb:\n  max_retries: 3\n"
    ),
    Exporter("influxdb v2", Mode.INFLUXDB_V2),
    Exporter("splunk", Mode.SPLUNK),
    Exporter("token", Mode.TOKEN),
    Exporter("account", Mode.ACCOUNT),
    Exporter("mqtt", Mode.MQTT),
)


def add_arguments(parser: argparse.ArgumentParser, *, rounds: int, rate: int) -> None:
    """Describe what the command lines of these benches have in common."""
    names = [exporter.name for exporter in EXPORTERS]
    parser.add_argument(
        "--modes",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"which exporters, of: {'; '.join(names)} (all)",
    )
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="to take medians of (%(default)s)"
    )
    parser.add_argument(
        "--rate", type=int, default=rate, help="changes a second (%(default)s)"
    )
    parser.add_argument(
        "--sensors", type=int, default=200, help="that change in turn (%(default)s)"
    )


def chosen(names: Sequence[str]) -> tuple[Exporter, ...]:
    """Return the exporters of these names."""
    return tuple(exporter for exporter in EXPORTERS if exporter.name in names)
