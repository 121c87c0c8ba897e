"""``POST /api/v1/ingest/{deviceId}``: one reading, by a device token, stamped by the server."""

import re

from sandbox.answers import ROLLED_BACK, Answer, failure, ok, verdict
from sandbox.context import Call
from sandbox.readings import IngestionError, Reading
from sandbox.settings import Mode
from sandbox.values import RefusedValue, is_blank, simple_value

_TOKEN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def ingest(call: Call) -> Answer:
    """Check in the server's order, then store; the first failure answers."""
    members = call.json_object()
    token = call.headers.get("X-API-Key", "")
    if is_blank(token):
        return verdict(401, "X-API-Key header is required")
    if not _TOKEN.fullmatch(token):
        return verdict(401, "Invalid API key format. Expected UUID.")
    store, ingestion = call.context.store, call.context.ingestion
    owner = store.token_owner(token)
    if owner is None:
        return verdict(401, "Invalid API key")
    device_id = call.parameters["device"]
    target = store.device_key(device_id)
    if target is not None and target.organization_id != owner.organization_id:
        return verdict(403, "Cannot send data to device in different organization")
    try:
        variables = {
            name: simple_value(name, value)
            for name, value in members.items()
            if value is not None
        }
    except RefusedValue as err:
        ingestion.touch_token(owner)
        return verdict(400, str(err))
    if not variables:
        ingestion.touch_token(owner)
        return verdict(400, "At least one numeric variable is required")
    reading = Reading(
        device_id,
        variables,
        call.context.clock.now_us(),
        creates_in=owner.organization_id,
    )
    try:
        ingestion.store(reading, token_owner=owner)
    except IngestionError as err:
        if call.context.has(Mode.BEFORE_2025_11_22):
            ingestion.touch_token(owner)
            message = f"Failed to process data: {err}"
            return ok({"success": False, "message": message}, 500)
        return failure(call.path, ROLLED_BACK)
    return verdict(200, "Data received successfully")
