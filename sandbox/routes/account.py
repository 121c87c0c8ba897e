"""What else a user sees: events, and keys that the server fails to make."""

from sandbox.answers import Answer, ok, problem
from sandbox.context import Call
from sandbox.instants import format_local

_MAX_EVENTS = 100


async def events(call: Call) -> Answer:
    """List what happened to the organisation's devices, newest first."""
    rows = call.context.store.rows(
        "SELECT * FROM events WHERE organization_id = ? ORDER BY id DESC LIMIT ?",
        call.user().user.organization_id,
        _MAX_EVENTS,
    )
    return ok(
        [
            {
                "id": row["id"],
                "eventType": row["type"],
                "deviceId": row["external_id"],
                "createdAt": format_local(row["created_at"]),
            }
            for row in rows
        ]
    )


async def list_keys(call: Call) -> Answer:
    """List the caller's keys, masked."""
    key = call.user().user.user_key
    if key is None:
        return ok([])
    return ok([{"id": call.user().user.id, "name": "default", "maskedKey": key[:8]}])


async def create_key(call: Call) -> Answer:
    """Fail as the server does: it leaves a column empty that must not be."""
    call.json_object()
    return problem(409, call.path, detail="The data conflicts with what is stored.")
