"""Commands to devices, handed to the broker; whether one arrives is not known."""

from collections.abc import Mapping

from sandbox.answers import Answer, ok, verdict
from sandbox.context import Call
from sandbox.json_reader import PlainJson, plain_object


def _members(call: Call) -> Mapping[str, PlainJson]:
    """Read the body as a JSON object."""
    return plain_object(call.json_object())


async def _send(call: Call, command: str, payload: PlainJson, message: str) -> Answer:
    """Publish a command for the path's device."""
    external_id = call.parameters["device"]
    device = call.context.store.device_key(external_id)
    if device is None:
        return _failed(f"Device not found: {external_id}")
    if device.organization_id != call.user().user.organization_id:
        return verdict(403, "Access denied to device")
    if call.context.mqtt is None:
        return _failed("MQTT is off")
    try:
        await call.context.mqtt.send_command(external_id, command, payload)
    except ConnectionError as err:
        return _failed(str(err))
    return verdict(200, message)


def _failed(reason: str) -> Answer:
    """Say why a command was not sent."""
    return ok({"success": False, "message": f"Failed to send command: {reason}"}, 500)


async def send(call: Call) -> Answer:
    """Send any command with any payload."""
    members = _members(call)
    command = str(members.get("command") or "")
    return await _send(
        call, command, members.get("payload"), "Command sent successfully"
    )


async def toggle(call: Call) -> Answer:
    """Toggle something on a device."""
    payload: PlainJson = {"target": _members(call).get("target") or "default"}
    return await _send(call, "toggle", payload, "Toggle command sent")


async def set_value(call: Call) -> Answer:
    """Set a variable on a device."""
    members = _members(call)
    payload: PlainJson = {name: members.get(name) for name in ("variable", "value")}
    return await _send(call, "set_value", payload, "Set value command sent")
