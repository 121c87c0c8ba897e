"""Variables and their values, read back by the device's database id."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
import json
import re
import sqlite3
from typing import Any
import uuid

from sandbox.answers import Answer, failure, ok, problem
from sandbox.context import Call, Refused, RequestFailed
from sandbox.instants import format_us, parse_instant, to_us
from sandbox.json_reader import plain_object
from sandbox.records import Device

_DAY_US = 24 * 3600 * 1_000_000
_DEFAULT_LATEST, _MAX_LATEST = 100, 1000
_MAX_DECIMAL_PLACES = 10
_PLACES = Decimal("0.000001")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_COLUMNS = {
    "displayName": "display_name",
    "description": "description",
    "unit": "unit",
    "icon": "icon",
    "color": "color",
    "decimalPlaces": "decimal_places",
    "minValue": "min_value",
    "maxValue": "max_value",
}
_TEXT_LIMITS = {"displayName": 255, "unit": 50, "icon": 100}
TYPE_MISMATCH = "MethodArgumentTypeMismatchException"


def _device(call: Call) -> Device:
    """Return the device that the path names by its database id.

    Raises:
        RequestFailed: The path holds something else than a database id.
        Refused: There is no such device, or it is another organisation's.
    """
    text = call.parameters["uuid"]
    try:
        uuid_ = str(uuid.UUID(text))
    except ValueError as err:
        raise RequestFailed(TYPE_MISMATCH) from err
    device = call.context.store.device_by_uuid(uuid_)
    if device is None:
        raise Refused(problem(404, call.path, detail=f"Device not found: {text}"))
    if device.organization_id != call.user().user.organization_id:
        raise Refused(problem(403, call.path, detail="Access denied to device"))
    return device


def _variable(call: Call) -> tuple[Device, sqlite3.Row]:
    """Return the device and the variable that the path names.

    Raises:
        RequestFailed: The path holds something else than database ids.
        Refused: There is no such variable, or it is another organisation's.
    """
    device, text = _device(call), call.parameters["variable"]
    if not text.isdecimal():
        raise RequestFailed(TYPE_MISMATCH)
    found = call.context.store.row(
        "SELECT * FROM variables WHERE device_id = ? AND id = ?", device.id, int(text)
    )
    if found is None:
        raise Refused(problem(404, call.path, detail=f"Variable not found: {text}"))
    return device, found


def _decimal(text: str | None) -> Decimal | None:
    """Read a stored decimal."""
    return None if text is None else Decimal(text)


def _describe(device: Device, row: sqlite3.Row) -> dict[str, Any]:
    """Return a variable as the API shows it."""
    return {
        "id": row["id"],
        "deviceId": device.uuid,
        "deviceExternalId": device.external_id,
        "name": row["name"],
        "displayName": row["display_name"],
        "description": row["description"],
        "unit": row["unit"],
        "dataType": row["data_type"],
        "dataSource": row["data_source"],
        "icon": row["icon"],
        "color": row["color"],
        "minValue": _decimal(row["min_value"]),
        "maxValue": _decimal(row["max_value"]),
        "decimalPlaces": row["decimal_places"],
        "lastValue": _decimal(row["last_value"]),
        "lastValueAt": format_us(row["last_value_at"]),
        "createdAt": format_us(row["created_at"]),
        "updatedAt": format_us(row["updated_at"]),
    }


def _describe_value(row: sqlite3.Row) -> dict[str, Any]:
    """Return a stored value as the API shows it."""
    return {
        "id": row["id"],
        "variableId": row["variable_id"],
        "timestamp": format_us(row["timestamp"]),
        "value": Decimal(row["value"]),
        "context": json.loads(row["context"] or "null"),
        "createdAt": format_us(row["created_at"]),
    }


async def list_all(call: Call) -> Answer:
    """List a device's variables."""
    device = _device(call)
    rows = call.context.store.rows(
        "SELECT * FROM variables WHERE device_id = ? ORDER BY name", device.id
    )
    return ok([_describe(device, row) for row in rows])


async def latest(call: Call) -> Answer:
    """Return the last value of each variable by its name."""
    device = _device(call)
    rows = call.context.store.rows(
        "SELECT name, last_value FROM variables"
        " WHERE device_id = ? AND last_value IS NOT NULL ORDER BY name",
        device.id,
    )
    return ok({name: Decimal(value) for name, value in rows})


async def show(call: Call) -> Answer:
    """Show one variable."""
    return ok(_describe(*_variable(call)))


async def update(call: Call) -> Answer:
    """Give a variable its name for people, unit, colour and so on."""
    members = plain_object(call.json_object())
    _, row = _variable(call)
    if errors := _invalid(members):
        return problem(
            400,
            call.path,
            title="Validation Failed",
            detail="One or more fields are invalid.",
            errors=errors,
        )
    columns = {
        column: members[member]
        for member, column in _COLUMNS.items()
        if members.get(member) is not None
    }
    columns["updated_at"] = call.context.clock.now_us()
    assignments = ", ".join(f"{column} = ?" for column in columns)
    call.context.store.connection.execute(
        f"UPDATE variables SET {assignments} WHERE id = ?",
        (*columns.values(), row["id"]),
    )
    return ok(_describe(*_variable(call)))


def _invalid(members: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with each member."""
    errors = {}
    for name in _COLUMNS:
        value = members.get(name)
        if value is None:
            continue
        if name in ("minValue", "maxValue"):
            if not isinstance(value, (int, float)):
                errors[name] = "must be a number"
        elif name == "decimalPlaces":
            if not isinstance(value, int) or not 0 <= value <= _MAX_DECIMAL_PLACES:
                errors[name] = f"must be 0 to {_MAX_DECIMAL_PLACES}"
        elif not isinstance(value, str):
            errors[name] = "must be a text"
        elif len(value) > _TEXT_LIMITS.get(name, len(value)):
            errors[name] = f"must not exceed {_TEXT_LIMITS[name]} characters"
        elif name == "color" and not _COLOR.fullmatch(value):
            errors[name] = "must be #RRGGBB"
    return errors


def span(call: Call, first: str, last: str) -> tuple[int, int]:
    """Return the microseconds between which a query asks, by default the last day.

    Raises:
        RequestFailed: A bound is not an ISO instant.
    """
    now_us = call.context.clock.now_us()
    try:
        start, end = (
            default
            if (text := call.query.get(name)) is None
            else to_us(parse_instant(text))
            for name, default in ((first, now_us - _DAY_US), (last, now_us))
        )
    except ValueError as err:
        raise RequestFailed(TYPE_MISMATCH) from err
    return start, end


def mean(numbers: Sequence[Decimal]) -> Decimal:
    """Return the average with the places that every value has."""
    return (sum(numbers, Decimal()) / len(numbers)).quantize(_PLACES)


async def values(call: Call) -> Answer:
    """Return the values between two times, ascending."""
    _, row = _variable(call)
    start, end = span(call, "startTime", "endTime")
    rows = call.context.store.rows(
        "SELECT * FROM variable_values WHERE variable_id = ?"
        " AND timestamp BETWEEN ? AND ? ORDER BY timestamp, id",
        row["id"],
        start,
        end,
    )
    return ok([_describe_value(value) for value in rows])


async def latest_values(call: Call) -> Answer:
    """Return the newest values, descending."""
    _, row = _variable(call)
    text = call.query.get("count", str(_DEFAULT_LATEST))
    if not text.isdecimal():
        return failure(call.path, TYPE_MISMATCH)
    rows = call.context.store.rows(
        "SELECT * FROM variable_values WHERE variable_id = ?"
        " ORDER BY timestamp DESC, id DESC LIMIT ?",
        row["id"],
        min(int(text), _MAX_LATEST),
    )
    return ok([_describe_value(value) for value in rows])


async def statistics(call: Call) -> Answer:
    """Summarise the values between two times."""
    _, row = _variable(call)
    start, end = span(call, "startTime", "endTime")
    rows = call.context.store.rows(
        "SELECT value FROM variable_values WHERE variable_id = ?"
        " AND timestamp BETWEEN ? AND ?",
        row["id"],
        start,
        end,
    )
    numbers = [Decimal(value) for (value,) in rows]
    return ok(
        {
            "count": len(numbers),
            "average": mean(numbers) if numbers else None,
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
            "sum": sum(numbers, Decimal()) if numbers else None,
            "startTime": format_us(start),
            "endTime": format_us(end),
        }
    )
