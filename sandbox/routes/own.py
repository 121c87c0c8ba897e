"""What belongs to the sandbox itself: the live page, and switching things on loopback."""

import ipaddress
import json

from aiohttp import web

from sandbox import fixtures
from sandbox.answers import Answer, ok
from sandbox.context import Call
from sandbox.json_reader import PlainJson
from sandbox.pipeline import is_foreign_origin
from sandbox.routing import Route

_ADMIN_PATHS = ("/_sandbox/faults", "/_sandbox/modes", "/_sandbox/reset")


def is_own_path(target: str) -> bool:
    """Tell whether a request is for the sandbox rather than for the server it plays."""
    path = target.partition("?")[0]
    return path in ("/", "/favicon.ico") or path.startswith("/_sandbox/")


def is_loopback(address: str | None) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def refusal(request: web.BaseRequest) -> Answer | None:
    """Refuse switching from another machine, or by a page of another site."""
    if not request.raw_path.startswith(_ADMIN_PATHS):
        return None
    if is_loopback(request.remote) and not is_foreign_origin(request):
        return None
    message = "The sandbox can only be switched from the machine that it runs on."
    return ok({"error": message}, 403)


def _body(call: Call) -> PlainJson:
    """Read a JSON body; an empty one is an empty object.

    Raises:
        ValueError: It is not JSON.
    """
    body: PlainJson = json.loads(call.body or b"{}")
    return body


def _bad_request(err: Exception) -> Answer:
    """Say what is wrong with a request."""
    return ok({"error": str(err)}, 400)


async def reset(call: Call) -> Answer:
    """Put the server into its fresh state, as ``given`` describes it."""
    try:
        await fixtures.reset(call.context, _body(call))
    except ValueError as err:
        return _bad_request(err)
    return Answer(204)


OWN_ROUTES = (Route("POST", "/_sandbox/reset", reset),)
