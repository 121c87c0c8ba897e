"""Devices and their tokens, within the caller's organisation."""

from collections.abc import Mapping
from typing import Any
import uuid

from sandbox.answers import Answer, ok, problem, verdict
from sandbox.context import Call, Refused
from sandbox.instants import format_local, format_us
from sandbox.json_reader import Json
from sandbox.records import Device
from sandbox.settings import Mode

_MAX_EXTERNAL_ID_CHARS = 64
_COLUMNS = {
    "name": "name",
    "description": "description",
    "active": "active",
    "location": "location",
    "sensorType": "sensor_type",
    "firmwareVersion": "firmware_version",
}


def describe(call: Call, device: Device) -> dict[str, Any]:
    """Return a device as the API shows it: never with its token."""
    members: dict[str, Any] = {
        "id": device.uuid,
        "externalId": device.external_id,
        "name": device.name,
        "description": device.description,
        "active": bool(device.active),
        "location": device.location,
        "sensorType": device.sensor_type,
        "firmwareVersion": device.firmware_version,
        "status": device.status,
        "lastSeenAt": format_us(device.last_seen_at),
        "healthScore": None,
        "healthStatus": None,
        "lastHealthCheckAt": None,
        "tags": [],
        "groups": [],
    }
    if call.context.has(Mode.BEFORE_2025_12_06):
        del members["id"]
    return members


def owned_device(call: Call) -> Device:
    """Return the device that the path names.

    Raises:
        Refused: There is none, or it is another organisation's.
    """
    external_id = call.parameters["device"]
    device = call.context.store.device(external_id)
    if device is None:
        detail = f"Device not found: {external_id}"
        raise Refused(problem(404, call.path, detail=detail))
    if device.organization_id != call.user().user.organization_id:
        detail = "Access denied to device"
        raise Refused(problem(403, call.path, detail=detail))
    return device


async def list_all(call: Call) -> Answer:
    """List the organisation's devices."""
    call.context.ingestion.mark_silent_devices_offline()
    devices = call.context.store.devices(call.user().user.organization_id)
    return ok([describe(call, device) for device in devices])


async def create(call: Call) -> Answer:
    """Make a device; its token is not shown."""
    members = call.json_object()
    external_id, name = members.get("externalId"), members.get("name")
    if errors := {
        field: f"{field} is required"
        for field, value in (("externalId", external_id), ("name", name))
        if not isinstance(value, str) or not value.strip()
    }:
        return problem(
            400,
            call.path,
            title="Validation Failed",
            detail="One or more fields are invalid.",
            errors=errors,
        )
    store = call.context.store
    if store.device(str(external_id)) is not None:
        detail = f"Device already exists: {external_id}"
        return problem(400, call.path, title="Invalid Request", detail=detail)
    if len(str(external_id)) > _MAX_EXTERNAL_ID_CHARS:
        return problem(409, call.path, detail="The data conflicts with what is stored.")
    now_us = call.context.clock.now_us()
    with store.transaction():
        device = store.add_device(
            organization_id=call.user().user.organization_id,
            external_id=str(external_id),
            name=str(name),
            now_us=now_us,
        )
        device = _write(call, device, members)
        store.add_event(
            device.organization_id, device.external_id, "DEVICE_CREATED", now_us
        )
    return ok(describe(call, device), 201)


def _write(call: Call, device: Device, members: Mapping[str, Json]) -> Device:
    """Write the members that a device has a column for; return the device as it is now."""
    columns = {
        column: members[member]
        for member, column in _COLUMNS.items()
        if members.get(member) is not None
    }
    if not columns:
        return device
    return call.context.store.update_device(device, **columns)


async def show(call: Call) -> Answer:
    """Show one device."""
    return ok(describe(call, owned_device(call)))


async def update(call: Call) -> Answer:
    """Change one device."""
    members = call.json_object()
    device = owned_device(call)
    return ok(describe(call, _write(call, device, members)))


async def delete(call: Call) -> Answer:
    """Remove a device for good, with its token and all its data."""
    call.context.store.delete_device(owned_device(call))
    return Answer(204)


def _renew(call: Call, device: Device) -> tuple[str, int]:
    """Give a device a new token; the old one is void at once."""
    token, now_us = str(uuid.uuid4()), call.context.clock.now_us()
    call.context.store.update_device(device, api_token=token, token_created_at=now_us)
    return token, now_us


async def rotate(call: Call) -> Answer:
    """Replace a token and show the new one, this once."""
    device = owned_device(call)
    return _shown_once(call, device, "Device token rotated successfully")


def _shown_once(call: Call, device: Device, message: str) -> Answer:
    """Renew a token and answer with it."""
    token, now_us = _renew(call, device)
    return ok(
        {
            "deviceId": device.external_id,
            "token": token,
            "message": message,
            "success": True,
            "tokenCreatedAt": format_local(now_us),
        }
    )


async def rotate_shortly(call: Call) -> Answer:
    """Replace a token, answering with little more than it."""
    device = owned_device(call)
    token, _ = _renew(call, device)
    return ok({"deviceExternalId": device.external_id, "apiToken": token})


async def generate(call: Call) -> Answer:
    """Make a token for a device that has none."""
    device = owned_device(call)
    if device.api_token is not None:
        return verdict(400, "Device already has a token. Rotate it instead.")
    return _shown_once(call, device, "Device token generated successfully")


async def show_masked(call: Call) -> Answer:
    """Show that there is a token, and its ends."""
    device = owned_device(call)
    token = device.api_token
    return ok(
        {
            "deviceId": device.external_id,
            "maskedToken": token and f"{token[:4]}…{token[-4:]}",
            "hasToken": token is not None,
            "success": True,
            "tokenCreatedAt": format_local(device.token_created_at),
            "tokenLastUsedAt": format_local(device.token_last_used_at),
        }
    )


async def revoke(call: Call) -> Answer:
    """Take a device's token away."""
    device = owned_device(call)
    call.context.store.update_device(device, api_token=None, token_created_at=None)
    return verdict(200, "Device token revoked successfully")
