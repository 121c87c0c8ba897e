"""Switching the sandbox while it runs: faults, modes, a fresh start. Only on loopback."""

import ipaddress
import json

from aiohttp import web

from sandbox import fixtures
from sandbox.answers import Answer, ok
from sandbox.context import Call
from sandbox.faults import DESCRIPTIONS, FaultArguments
from sandbox.json_reader import PlainJson
from sandbox.pipeline import is_foreign_origin
from sandbox.routing import Route
from sandbox.settings import Mode

_ADMIN_PATHS = ("/_sandbox/faults", "/_sandbox/modes", "/_sandbox/reset")


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


async def show_faults(call: Call) -> Answer:
    """List the faults that are on, and those there are."""
    return ok({"faults": call.context.faults.active(), "available": DESCRIPTIONS})


async def set_faults(call: Call) -> Answer:
    """Switch on one fault, or a list of them."""
    faults = call.context.faults
    try:
        body = _body(call)
        for item in body if isinstance(body, list) else [body]:
            faults.set(**_fault(item))
    except ValueError as err:
        return _bad_request(err)
    await _settle(call)
    return await show_faults(call)


def _fault(item: PlainJson) -> FaultArguments:
    """Read a fault from JSON.

    Raises:
        ValueError: A member is missing, not known, or of the wrong type.
    """
    match item:
        case {"name": str(name), **rest}:
            pass
        case _:
            raise ValueError('Name the fault: {"name": "http_503", "times": 3}.')
    arguments = FaultArguments(name=name)
    for key, value in rest.items():
        match key, value:
            case _, None:
                continue
            case "times", int() if not isinstance(value, bool):
                arguments["times"] = value
            case "path", str():
                arguments["path"] = value
            case "seconds", int() | float() if not isinstance(value, bool):
                arguments["seconds"] = value
            case _:
                raise ValueError(
                    f"{key} is {value!r}; use times (a number), seconds (a number)"
                    " and path (a text)."
                )
    return arguments


async def clear_faults(call: Call) -> Answer:
    """Switch all faults off, or the one that the query names."""
    call.context.faults.clear(call.query.get("name"))
    await _settle(call)
    return Answer(204)


async def show_modes(call: Call) -> Answer:
    """List the differences of old servers that are on, and those there are."""
    modes = sorted(call.context.state.modes)
    return ok({"modes": modes, "available": [mode.value for mode in Mode]})


async def set_modes(call: Call) -> Answer:
    """Behave as old servers in these respects, and only these."""
    try:
        modes = _modes(_body(call))
    except ValueError as err:
        return _bad_request(err)
    call.context.switch_modes(modes)
    await _settle(call)
    return await show_modes(call)


def _modes(body: PlainJson) -> frozenset[Mode]:
    """Read modes from JSON.

    Raises:
        ValueError: They are not listed, or there is none of such a name.
    """
    match body:
        case {"modes": list(names)}:
            return fixtures.modes_of(names)
    raise ValueError('List them: {"modes": ["before_2026_01_18"]}.')


async def _settle(call: Call) -> None:
    """Wait until a change is in force at the broker too."""
    if (link := call.context.mqtt) is not None:
        link.apply_changes()
        await link.settle()


ADMIN_ROUTES = (
    Route("POST", "/_sandbox/reset", reset),
    Route("GET", "/_sandbox/faults", show_faults),
    Route("PUT", "/_sandbox/faults", set_faults),
    Route("DELETE", "/_sandbox/faults", clear_faults),
    Route("GET", "/_sandbox/modes", show_modes),
    Route("PUT", "/_sandbox/modes", set_modes),
)
