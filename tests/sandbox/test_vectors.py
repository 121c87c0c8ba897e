"""Every vector of the server's contract, over a real socket, with its effects."""

from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, Settings

from .conftest import ALICE, Client
from .effects import EFFECTS, After
from .wire import Reply, send

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "vectors.jsonl")
    .read_text()
    .splitlines()
]


def _assert_body(expected: dict[str, Any], reply: Reply) -> None:
    """Compare a body as its kind says."""
    if expected["kind"] == "empty":
        assert reply.body == b""
        return
    assert reply.headers["Content-Type"] == expected["content_type"]
    if expected["kind"] == "html":
        assert reply.body.lstrip().lower().startswith(b"<!doctype html")
        return
    body = reply.json()
    if expected["kind"] == "json_subset":
        body = {name: body.get(name) for name in expected["json"]}
    _assert_equal(expected["json"], body)


def _assert_equal(expected: Any, actual: Any) -> None:  # noqa: ANN401 - any JSON
    """Compare JSON values; ``$INSTANT`` is any instant within the test's time."""
    if expected == "$INSTANT":
        age = datetime.now(UTC) - datetime.fromisoformat(actual)
        assert timedelta() <= age < timedelta(seconds=10)
    elif isinstance(expected, dict):
        assert list(expected) == list(actual)
        for name, member in expected.items():
            _assert_equal(member, actual[name])
    elif isinstance(expected, list):
        assert len(expected) == len(actual)
        for one, other in zip(expected, actual, strict=True):
            _assert_equal(one, other)
    else:
        assert expected == actual
        assert type(expected) is type(actual)


async def _replay(sandbox: Sandbox, vector: dict[str, Any]) -> None:
    """Send a vector's request in its state, and compare answer and effects."""
    reset = await send(
        sandbox.url, "POST", "/_sandbox/reset", body=json.dumps(vector.get("given", {}))
    )
    assert reset.status == 204
    request, expected = vector["request"], vector["response"]
    headers = dict(request["headers"])
    if headers.get("Authorization") == "Bearer $JWT_ALICE":
        reply = await Client(sandbox).post("/api/v1/auth/login", ALICE)
        headers["Authorization"] = f"Bearer {reply.json()['accessToken']}"
    before = tuple(sandbox.store.devices())
    reply = await send(
        sandbox.url, request["method"], request["path"], headers, request["body"]
    )
    assert reply.status == expected["status"]
    _assert_body(expected["body"], reply)
    for name, value in expected.get("headers", {}).items():
        if value.startswith("^"):
            assert reply.headers[name].startswith(value[1:])
        else:
            assert reply.headers[name] == value
    after = After(sandbox, before)
    if vector["effects"]:
        EFFECTS[vector["id"]](after)
    elif expected["status"] != 200:
        assert after.nothing_is_stored()


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(v, id=v["id"])
        for v in VECTORS
        if "broker" not in v.get("given", {})
    ],
)
async def test_vector_is_answered_as_the_contract_says(
    sandbox: Sandbox, vector: dict[str, Any]
) -> None:
    """Replay a vector that needs no broker."""
    await _replay(sandbox, vector)


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"]) for v in VECTORS if "broker" in v.get("given", {})],
)
async def test_vector_with_a_broker_is_answered_as_the_contract_says(
    mosquitto: str, vector: dict[str, Any]
) -> None:
    """Replay a vector whose state has a broker."""
    async with Sandbox(Settings(fixtures="contract", broker=mosquitto)) as sandbox:
        await _replay(sandbox, vector)


def test_every_vector_with_effects_has_a_check() -> None:
    """No effect may be passed over silently, and no check be left without its vector."""
    assert set(EFFECTS) == {vector["id"] for vector in VECTORS if vector["effects"]}
