"""Say how a user manages devices and variables, and reads values back.

Pure as `protocol` is, for CPython only.
"""

from __future__ import annotations

from typing import Mapping

from . import protocol
from .protocol import Answer, Request, ValidationError
from .user_protocol import device_segment, quote, request

# How long the server's columns are; a description has no end.
MAX_CHARS = {
    "name": 255,
    "location": 255,
    "sensor_type": 100,
    "firmware_version": 100,
    "display_name": 255,
    "unit": 50,
}
MAX_DECIMAL_PLACES = 10

_NO_SUCH_DEVICE = "Device not found"


def update_request(device_id: str, body: Mapping[str, object]) -> Request:
    """Build the request that changes a device."""
    path = f"/api/v1/devices/{device_segment(device_id)}"
    return request("PUT", path, {"externalId": device_id, **body})


def delete_request(device_id: str) -> Request:
    """Build the request that removes a device with all its data."""
    return request("DELETE", f"/api/v1/devices/{device_segment(device_id)}")


def token_request(device_id: str, verb: str) -> Request:
    """Build the request that gives a device a token: `generate` or `rotate`."""
    path = f"/api/v1/devices/{device_segment(device_id)}/token/{verb}"
    return request("POST", path, {})


def command_request(device_id: str, command: str, payload: object) -> Request:
    """Build the request that sends a device a command.

    Raises:
        ValidationError: the device id can't be one, the command is no text, or the
            payload is nothing that JSON has.
    """
    if not isinstance(command, str) or not command.strip():
        raise ValidationError(
            "command", command, "is not a text", "Give a word that the device knows"
        )
    path = f"/api/v1/devices/{device_segment(device_id)}/commands"
    try:
        return request("POST", path, {"command": command, "payload": payload})
    except (TypeError, ValueError, RecursionError) as err:
        raise ValidationError(
            "payload",
            payload,
            "can't be written as JSON",
            "Give None, numbers, texts, or lists and dicts of them",
        ) from err


def command_answer(answer: Answer, device_id: str) -> Answer:
    """Return what an answer to a command means.

    The server says with a 500 of its own that there is no such device.
    """
    if answer.status != 500 or _NO_SUCH_DEVICE not in answer.message:
        return answer
    message = f"{_NO_SUCH_DEVICE}: {device_id}"
    return Answer(protocol.WRONG_DEVICE, answer.status, message, answer.error_type)


def variables_request(device_uuid: str) -> Request:
    """Build the request that lists a device's variables."""
    return request("GET", _variables_path(device_uuid))


def latest_request(device_uuid: str) -> Request:
    """Build the request for the newest value of each variable."""
    return request("GET", f"{_variables_path(device_uuid)}/latest")


def update_variable_request(
    device_uuid: str, variable_id: str, details: Mapping[str, object]
) -> Request:
    """Build the request that changes a variable."""
    path = f"{_variables_path(device_uuid)}/{quote(variable_id)}"
    return request("PUT", path, details)


def values_request(device_uuid: str, variable_id: str, start: str, end: str) -> Request:
    """Build the request for the values between two instants."""
    path = f"{_variables_path(device_uuid)}/{quote(variable_id)}/values"
    query = f"startTime={quote(start)}&endTime={quote(end)}"
    return request("GET", f"{path}?{query}")


def device_details(
    *,
    name: str | None = None,
    description: str | None = None,
    location: str | None = None,
    sensor_type: str | None = None,
    firmware_version: str | None = None,
) -> dict[str, object]:
    """Return what is given of a device as the server calls it.

    Raises:
        ValidationError: a text is longer than the server stores.
    """
    return _details(
        ("name", "name", name),
        ("description", "description", description),
        ("location", "location", location),
        ("sensor_type", "sensorType", sensor_type),
        ("firmware_version", "firmwareVersion", firmware_version),
    )


def variable_details(
    *,
    display_name: str | None = None,
    description: str | None = None,
    unit: str | None = None,
    decimal_places: int | None = None,
) -> dict[str, object]:
    """Return what is given of a variable as the server calls it.

    Raises:
        ValidationError: a text is longer than the server stores, or the decimals are not
            0 to 10.
    """
    details = _details(
        ("display_name", "displayName", display_name),
        ("description", "description", description),
        ("unit", "unit", unit),
    )
    if decimal_places is not None:
        if decimal_places not in range(MAX_DECIMAL_PLACES + 1):
            raise ValidationError(
                "decimal_places", decimal_places, "is out of range", "Take 0 to 10"
            )
        details["decimalPlaces"] = int(decimal_places)
    return details


def _variables_path(device_uuid: str) -> str:
    return f"/api/v1/devices/{quote(device_uuid)}/variables"


def _details(*fields: tuple[str, str, str | None]) -> dict[str, object]:
    """Return the texts that are given, by the server's name.

    Args:
        fields: our name, the server's name, and the text.
    """
    details: dict[str, object] = {}
    for name, member, text in fields:
        if text is None:
            continue
        if not isinstance(text, str):
            raise ValidationError(name, text, "is not a text", "Give a str")
        limit = MAX_CHARS.get(name)
        if limit is not None and len(text) > limit:
            remedy = f"Take at most {limit} characters"
            raise ValidationError(name, text, "is too long", remedy)
        details[member] = text
    return details
