"""A device's telemetry as it goes over MQTT."""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
from typing import TYPE_CHECKING, Mapping

from . import protocol
from .models import format_instant

if TYPE_CHECKING:
    from .models import Sample

_US_PER_S = 1_000_000

_quoted = json.JSONEncoder().encode


class Envelope:
    """What all messages of one device have in common, checked and encoded once.

    Args:
        device_id: the device's public id.
        token: the device's own, or None for a server that asks for none.

    Raises:
        ValidationError: they can't be sent.
    """

    def __init__(self, device_id: str, token: str | None) -> None:
        checked_id = protocol.check_device_id(device_id)
        self._before = f'{{"deviceId":{_quoted(checked_id)},"variables":{{'
        self._after = "}"
        if token is not None:
            checked_token = protocol.check_token(token)
            self._after = f',"apiToken":{_quoted(checked_token)}}}'

    def payload(
        self, variables: Mapping[str, int | float], timestamp: str | None
    ) -> bytes:
        """Return numbers of the device as the server reads them (contract 4.3).

        Args:
            variables: numbers by variable name.
            timestamp: when they were true, or None for the server's now.

        Raises:
            ValidationError: see `protocol.check_variables`.
        """
        protocol.check_variables(dict(variables))
        members = ",".join(
            [f"{_quoted(name)}:{_literal(variables[name])}" for name in variables]
        )
        at = "" if timestamp is None else f',"timestamp":"{timestamp}"'
        return f"{self._before}{members}}}{at}{self._after}".encode()


def telemetry_payload(sample: Sample, token: str | None) -> bytes:
    """Return a device's telemetry as the server reads it (contract 4.3).

    Args:
        sample: what was true.
        token: the device's own, or None for a server that asks for none.

    Raises:
        ValidationError: it can't be sent.
    """
    at = sample.timestamp
    timestamp = None if at is None else format_instant(at)
    return Envelope(sample.device_id, token).payload(sample.variables, timestamp)


def format_time(at: float) -> str:
    """Return a time as `format_instant` returns its moment.

    Args:
        at: seconds since 1970 (UTC), in the years 1 to 9999.
    """
    fraction, second = math.modf(at)
    microseconds = round(fraction * _US_PER_S)
    if 0 <= microseconds < _US_PER_S:
        return f"{_format_second(second)}.{microseconds:06}Z"
    return format_instant(dt.datetime.fromtimestamp(at, dt.timezone.utc))


# Readings come in the order of their times, so that many in a row share their second.
@functools.lru_cache(maxsize=64)
def _format_second(second: float) -> str:
    moment = dt.datetime.fromtimestamp(second, dt.timezone.utc)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _literal(number: int | float) -> str:
    """Return a number as JSON has it, also one of a class that shows itself otherwise."""
    if isinstance(number, int):
        return int.__repr__(number)
    return float.__repr__(number)
