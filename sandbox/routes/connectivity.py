"""Whether the server answers, what it thinks of its broker, and its health."""

from urllib.parse import urlsplit

from sandbox.answers import HEALTH_JSON, Answer, dump, ok
from sandbox.context import Call


async def http(call: Call) -> Answer:
    """Say that the HTTP API answers."""
    return ok(
        {
            "status": "online",
            "message": "HTTP API is responding",
            "reachable": True,
            "guidance": "Send readings with a POST to /api/v1/ingest/{deviceId}.",
        }
    )


async def mqtt(call: Call) -> Answer:
    """Say whether the broker can be reached from the server."""
    reported = urlsplit(call.context.settings.reported_broker_url)
    link = call.context.mqtt
    is_reachable = link is not None and await link.broker_is_reachable()
    state = "is reachable" if is_reachable else "cannot be reached"
    return ok(
        {
            "brokerUrl": call.context.settings.reported_broker_url,
            "host": reported.hostname,
            "port": reported.port,
            "status": "online" if is_reachable else "unreachable",
            "message": f"The MQTT broker {state} from the server",
            "reachable": is_reachable,
            "guidance": "The address is the server's own; yours may differ.",
        }
    )


async def health(call: Call) -> Answer:
    """Report health as the production profile does."""
    status = call.context.state.health
    body = dump({"status": status, "groups": ["liveness", "readiness"]})
    return Answer(200 if status == "UP" else 503, body.encode(), HEALTH_JSON)
