"""The options by which a board's settings are given."""

from __future__ import annotations

from collections.abc import Callable
import functools
from pathlib import Path
from typing import Any

import click

from . import copying, settings, work
from .asking import Given

PATH = click.Path(path_type=Path)

own_sensor_option = click.option(
    "--own-sensor",
    "own_sensors",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A sensor of your own, such as soil.py; its name is its type.",
)
_settings_options = (
    own_sensor_option,
    click.option(
        "--settings", "settings_file", type=PATH, help="Settings file to begin with."
    ),
    click.option(
        "--url", help="Where it sends to: http://, https://, mqtt:// or mqtts://."
    ),
    click.option("--device-id", help="The device's id on the server."),
    click.option("--ssid", help="Name of the Wi-Fi network."),
    click.option("--country", help="Country code whose radio rules hold, such as DE."),
    click.option("--interval", type=int, help="Seconds between two readings."),
    click.option(
        "--sensor", "sensors", multiple=True, help="Such as bme280:sda=21,scl=22."
    ),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other setting, such as sleep=deep or store.kb=32; VALUE may be JSON.",
    ),
    click.option(
        "--ca", type=PATH, help="Certificate of the server's authority, PEM or DER."
    ),
    click.option("--login", help="Your user name on the server, to get a token with."),
    click.option(
        "--server", help="The server's URL for --login, where --url is a broker's."
    ),
    click.option(
        "--rotate-token",
        is_flag=True,
        help="With --login: replace a token that the device has already.",
    ),
)


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options for settings, as two arguments and a certificate."""

    @functools.wraps(command)
    def gather(
        settings_file: Path | None,
        url: str | None,
        device_id: str | None,
        ssid: str | None,
        country: str | None,
        interval: int | None,
        sensors: tuple[str, ...],
        assignments: tuple[str, ...],
        ca: Path | None,
        login: str | None,
        server: str | None,
        rotate_token: bool,
        own_sensors: tuple[Path, ...],
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        # What is wrong on this side is said before the board is touched.
        given = Given(
            settings.read_file(settings_file) if settings_file else None,
            {"url": url, "device_id": device_id, "interval_s": interval},
            sensors,
            {"ssid": ssid, "country": country},
            assignments,
            own_sensors,
        )
        for path in own_sensors:
            settings.add_sensor(path)
        for text in assignments:
            settings.parse_assignment(text)
        if rotate_token and not login:
            raise click.UsageError("--rotate-token needs --login.")
        return command(
            given=given,
            certificate=copying.certificate(ca) if ca else None,
            login=work.Login(login, server, rotate_token) if login else None,
            **others,
        )

    decorated: Callable[..., Any] = gather
    for option in reversed(_settings_options):
        decorated = option(decorated)
    return decorated
