"""Reading back the five reserved variables, and aggregating any."""

from collections.abc import Callable, Sequence
from decimal import Decimal
import sqlite3

from sandbox.answers import Answer, ok, problem
from sandbox.context import Call, Refused, RequestFailed
from sandbox.instants import format_us
from sandbox.records import DeviceKey

from .variables import TYPE_MISMATCH, mean, span

_MEMBERS = {
    "kwConsumption": "kw_consumption",
    "voltage": "voltage",
    "current": "current",
    "powerFactor": "power_factor",
    "frequency": "frequency",
}
_INTERVALS_S = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3600,
    "6h": 6 * 3600,
    "1d": 86_400,
    "7d": 7 * 86_400,
}
_AGGREGATIONS: dict[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "MIN": min,
    "MAX": max,
    "AVG": mean,
    "SUM": lambda values: sum(values, Decimal()),
    "COUNT": lambda values: Decimal(len(values)),
}


def _owned(call: Call, external_id: str) -> DeviceKey:
    """Return a device of the caller's organisation.

    Raises:
        Refused: There is none of that id, or it is another organisation's.
    """
    device = call.context.store.device_key(external_id)
    if device is None:
        raise Refused(
            problem(404, call.path, detail=f"Device not found: {external_id}")
        )
    if device.organization_id != call.user().user.organization_id:
        raise Refused(problem(403, call.path, detail="Access denied to device"))
    return device


def _parameter(call: Call, name: str) -> str:
    """Return a parameter of the query.

    Raises:
        RequestFailed: It is missing.
    """
    if (value := call.query.get(name)) is None:
        raise RequestFailed("MissingServletRequestParameterException")
    return value


def _record(device: DeviceKey, row: sqlite3.Row) -> dict[str, object]:
    """Return a legacy record as the API shows it."""
    return {
        "deviceId": device.external_id,
        "timestamp": format_us(row["timestamp"]),
        **{member: Decimal(row[column]) for member, column in _MEMBERS.items()},
    }


async def query(call: Call) -> Answer:
    """Return a device's legacy records between two times."""
    device = _owned(call, _parameter(call, "deviceId"))
    start, end = span(call, "from", "to")
    rows = call.context.store.rows(
        "SELECT * FROM telemetry_records WHERE device_id = ?"
        " AND timestamp BETWEEN ? AND ? ORDER BY timestamp, id",
        device.id,
        start,
        end,
    )
    return ok([_record(device, row) for row in rows])


def _newest(call: Call, device: DeviceKey) -> dict[str, object] | None:
    """Return a device's newest legacy record."""
    row = call.context.store.row(
        "SELECT * FROM telemetry_records WHERE device_id = ?"
        " ORDER BY timestamp DESC, id DESC",
        device.id,
    )
    return None if row is None else _record(device, row)


async def latest(call: Call) -> Answer:
    """Return the newest legacy record of each device named."""
    ids = filter(None, _parameter(call, "deviceIds").split(","))
    records = [_newest(call, _owned(call, external_id)) for external_id in ids]
    return ok([record for record in records if record is not None])


async def latest_of_device(call: Call) -> Answer:
    """Return the newest legacy record of one device."""
    external_id = call.parameters["device"]
    record = _newest(call, _owned(call, external_id))
    if record is None:
        return problem(404, call.path, detail=f"No telemetry for {external_id}")
    return ok(record)


async def aggregate(call: Call) -> Answer:
    """Aggregate a variable's values between two times, in intervals if asked."""
    device = _owned(call, _parameter(call, "deviceId"))
    variable, name = _parameter(call, "variable"), _parameter(call, "aggregation")
    interval = call.query.get("interval")
    if name not in _AGGREGATIONS or interval not in {None, *_INTERVALS_S}:
        raise RequestFailed(TYPE_MISMATCH)
    start, end = span(call, "from", "to")
    groups: dict[int, list[Decimal]] = {}
    for timestamp, value in _samples(call, device, variable, start, end):
        bucket = start
        if interval is not None:
            width_us = _INTERVALS_S[interval] * 1_000_000
            bucket = timestamp - timestamp % width_us
        groups.setdefault(bucket, []).append(Decimal(value))
    return ok(
        [
            {
                "deviceId": device.external_id,
                "variable": variable,
                "aggregation": name,
                "timestamp": format_us(bucket),
                "value": _AGGREGATIONS[name](values),
                "count": len(values),
            }
            for bucket, values in sorted(groups.items())
        ]
    )


def _samples(
    call: Call, device: DeviceKey, variable: str, start: int, end: int
) -> list[sqlite3.Row]:
    """Return times and values; the reserved names come from the zero-filled table."""
    if (column := _MEMBERS.get(variable)) is not None:
        return call.context.store.rows(
            f"SELECT timestamp, {column} FROM telemetry_records"
            " WHERE device_id = ? AND timestamp BETWEEN ? AND ?",
            device.id,
            start,
            end,
        )
    return call.context.store.rows(
        "SELECT timestamp, value FROM variable_values"
        " JOIN variables ON variables.id = variable_id"
        " WHERE device_id = ? AND name = ? AND timestamp BETWEEN ? AND ?",
        device.id,
        variable,
        start,
        end,
    )
