"""``/api/v1/data``: readings with their own time, one or many a request, by a user."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
import re
from typing import Any

from sandbox.answers import (
    ROLLED_BACK,
    UNREADABLE,
    Answer,
    failure,
    ok,
    problem,
    verdict,
)
from sandbox.context import Call, RequestFailed
from sandbox.instants import format_instant, parse_instant, to_us
from sandbox.json_reader import Json, JsonError, Literal, PlainJson, plain_object
from sandbox.readings import IngestionError, Reading
from sandbox.values import bound_text, bound_value, is_blank, parse_decimal

_SUCCESS = "Telemetry data ingested successfully"
_SERVER_ERROR = "Internal server error"
_BAD_TIMESTAMP = (
    "Invalid timestamp format. Use ISO-8601 format (e.g., 2024-01-15T10:30:00Z)"
)
_MAX_EPOCH_S = 31_556_889_864_403_199
_EPOCH = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Bound:
    """A JSON object of this family after binding, but for its time."""

    device_id: str | None
    variables: dict[str, Decimal | None] | None
    metadata: Mapping[str, PlainJson] | None


def _bind(members: Mapping[str, Json]) -> _Bound:
    """Bind a JSON object as the server's reader does.

    Raises:
        RequestFailed: A member has a type that does not bind.
    """
    variables, metadata = members.get("variables"), members.get("metadata")
    if not isinstance(variables, dict | None) or not isinstance(metadata, dict | None):
        raise RequestFailed(UNREADABLE)
    values = None
    try:
        device_id = bound_text(members.get("deviceId"))
        if variables is not None:
            values = {name: bound_value(member) for name, member in variables.items()}
    except JsonError as err:
        raise RequestFailed(UNREADABLE) from err
    return _Bound(
        device_id, values, None if metadata is None else plain_object(metadata)
    )


def _bind_timed(value: Json) -> tuple[_Bound, str | None]:
    """Bind an object with a time; a number or boolean becomes a text.

    Raises:
        RequestFailed: It is not an object, or a member has a type that does not bind.
    """
    if not isinstance(value, dict):
        raise RequestFailed(UNREADABLE)
    try:
        timestamp = bound_text(value.get("timestamp"))
    except JsonError as err:
        raise RequestFailed(UNREADABLE) from err
    return _bind(value), timestamp


def _outcome(
    call: Call,
    device_id: str | None,
    *,
    received: int = 0,
    message: str = _SUCCESS,
    at_ns: int | None = None,
) -> dict[str, Any]:
    """Describe what became of one reading; without its time, it failed."""
    status = "error" if at_ns is None else "success"
    if at_ns is None:
        at_ns = call.context.clock.now_us() * 1000
    return {
        "deviceId": device_id,
        "timestamp": format_instant(at_ns),
        "variablesReceived": received,
        "status": status,
        "message": message,
    }


def _store(call: Call, bound: _Bound, device_id: str, at_ns: int) -> None:
    """Store one bound reading in whatever organisation its device is.

    Raises:
        IngestionError: It was rolled back.
    """
    call.context.ingestion.store(
        Reading(device_id, bound.variables or {}, to_us(at_ns), bound.metadata)
    )


async def ingest(call: Call) -> Answer:
    """Store one reading."""
    bound, timestamp = _bind_timed(call.json())
    device_id = bound.device_id
    if device_id is None or is_blank(device_id):
        return ok(_outcome(call, device_id, message="deviceId is required"), 400)
    if not bound.variables:
        return ok(_outcome(call, device_id, message="variables are required"), 400)
    try:
        at_ns = _reading_time(call, timestamp)
    except ValueError:
        return ok(_outcome(call, device_id, message=_BAD_TIMESTAMP), 400)
    return _single(call, bound, device_id, at_ns)


async def variable(call: Call) -> Answer:
    """Store one variable, whose value is the whole body."""
    try:
        value = bound_value(call.json())
    except JsonError as err:
        raise RequestFailed(UNREADABLE) from err
    if value is None:
        raise RequestFailed(UNREADABLE)
    bound = _Bound(None, {call.parameters["variable"]: value}, None)
    at_ns = call.context.clock.now_us() * 1000
    return _single(call, bound, call.parameters["device"], at_ns)


def _single(call: Call, bound: _Bound, device_id: str, at_ns: int) -> Answer:
    """Store a reading that is the request's only one."""
    try:
        _store(call, bound, device_id, at_ns)
    except IngestionError:
        return ok(_outcome(call, device_id, message=_SERVER_ERROR), 500)
    received = len(bound.variables or {})
    return ok(_outcome(call, device_id, received=received, at_ns=at_ns))


def _reading_time(call: Call, timestamp: str | None) -> int:
    """Return a reading's time in nanoseconds; absent or blank means now.

    Raises:
        ValueError: It is not an ISO instant.
    """
    if timestamp is None or is_blank(timestamp):
        return call.context.clock.now_us() * 1000
    return parse_instant(timestamp)


async def bulk(call: Call) -> Answer:
    """Store many readings, each on its own: earlier ones stay when a later one fails."""
    items = call.json()
    if not isinstance(items, list):
        raise RequestFailed(UNREADABLE)
    bound_items = [None if item is None else _bind_timed(item) for item in items]
    outcomes = []
    # Nobody can look before the last of them: one commit does for all.
    with call.context.store.transaction():
        for item in bound_items:
            if item is None:
                return failure(call.path, "NullPointerException")
            outcomes.append(_bulk_item(call, *item))
    return ok(outcomes)


def _bulk_item(call: Call, bound: _Bound, timestamp: str | None) -> dict[str, Any]:
    """Store one reading of many."""
    device_id = bound.device_id
    if device_id is None or bound.variables is None:
        return _outcome(call, device_id, message="deviceId and variables are required")
    try:
        if timestamp is None:
            at_ns = call.context.clock.now_us() * 1000
        else:
            at_ns = parse_instant(timestamp)
        _store(call, bound, device_id, at_ns)
    except IngestionError, ValueError:
        return _outcome(call, device_id, message=_SERVER_ERROR)
    return _outcome(call, device_id, received=len(bound.variables), at_ns=at_ns)


def _epoch_or_iso(call: Call, timestamp: Json) -> int:
    """Read the time of the older endpoints in nanoseconds: ISO, or seconds since 1970.

    Raises:
        RequestFailed: It is neither.
    """
    now_ns = call.context.clock.now_us() * 1000
    if timestamp is None:
        return now_ns
    if not isinstance(timestamp, str):
        raise RequestFailed(UNREADABLE)
    text = timestamp.strip()
    if not text:
        return now_ns
    try:
        if isinstance(timestamp, Literal) or _EPOCH.fullmatch(text):
            seconds = parse_decimal(text)
            if seconds.copy_abs() > _MAX_EPOCH_S:
                raise RequestFailed(UNREADABLE)
            return int(seconds.scaleb(9).to_integral_value())
        return parse_instant(text)
    except ValueError as err:
        raise RequestFailed(UNREADABLE) from err


async def ingest_for_device(call: Call) -> Answer:
    """Store one reading of an existing device of the caller's organisation."""
    members = call.json_object()
    bound = _bind(members)
    at_ns = _epoch_or_iso(call, members.get("timestamp"))
    device_id, store = call.parameters["device"], call.context.store
    if (token := call.headers.get("X-Device-Token")) is not None:
        owner = store.token_owner(token)
        if owner is None:
            return verdict(401, "Invalid device token")
        if owner.external_id != device_id:
            return verdict(403, "Device ID mismatch")
    device = store.device_key(device_id)
    if device is None:
        return problem(404, call.path, detail=f"Device not found: {device_id}")
    if device.organization_id != call.user().user.organization_id:
        return verdict(403, "Access denied to device")
    try:
        _store(call, bound, device_id, at_ns)
    except IngestionError:
        return failure(call.path, ROLLED_BACK)
    return verdict(200, _SUCCESS)


async def ingest_bulk(call: Call) -> Answer:
    """Store readings of existing devices of the caller's organisation: all or none."""
    telemetry = call.json_object().get("telemetry")
    if not isinstance(telemetry, list):
        raise RequestFailed(UNREADABLE)
    readings = []
    for item in telemetry:
        if not isinstance(item, dict):
            raise RequestFailed(UNREADABLE)
        bound = _bind(item)
        at_us = to_us(_epoch_or_iso(call, item.get("timestamp")))
        readings.append(
            Reading(bound.device_id or "", bound.variables or {}, at_us, bound.metadata)
        )
    for reading in readings:
        device = call.context.store.device_key(reading.device_id)
        if device is None:
            detail = f"Device not found: {reading.device_id}"
            return problem(404, call.path, detail=detail)
        if device.organization_id != call.user().user.organization_id:
            return ok({"successCount": 0, "failureCount": len(readings)}, 403)
    try:
        call.context.ingestion.store_all(readings)
    except IngestionError:
        return failure(call.path, ROLLED_BACK)
    return ok({"successCount": len(readings), "failureCount": 0})
