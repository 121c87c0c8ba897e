"""The token is nowhere but in the request that needs it."""

from collections.abc import Iterator
import logging
import traceback

import pytest

from custom_components.sensorvision.client import (
    RetryPolicy,
    SensorVisionError,
    Timeouts,
)
from sandbox import Sandbox

from .both_clients import ClientClass, both_clients
from .servers import TOKEN, http_answer, scripted, silence

QUICK = RetryPolicy(attempts=2, first_delay_s=0.001)
HASTY = Timeouts(total_s=0.1)


def _chain(err: BaseException | None) -> Iterator[BaseException]:
    """Follow an exception to everything that it drags along."""
    while err is not None:
        yield err
        if err.__cause__ is not err.__context__:
            yield from _chain(err.__cause__)
        err = err.__context__


def _told(err: BaseException) -> str:
    """Return everything that a log or a debugger would print of an exception."""
    parts = [text for link in _chain(err) for text in (repr(link), repr(vars(link)))]
    parts += [repr(link.args) for link in _chain(err)]
    return "\n".join([*parts, *traceback.format_exception(err)])


@both_clients
@pytest.mark.parametrize(
    "fault",
    [
        "http_301",
        "html_200",
        "http_429",
        "http_500",
        "http_503",
        "reset",
        "reset_after_commit",
        "truncated_chunk",
        "latency",
    ],
)
async def test_no_fault_brings_it_to_light(
    client_class: ClientClass,
    sandbox: Sandbox,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the exceptions and their causes nor the log."""
    sandbox.faults.set(fault, seconds=0 if fault == "http_429" else None)
    caplog.set_level(logging.DEBUG)
    async with client_class(
        sandbox.url, api_key=TOKEN, retry=QUICK, timeouts=HASTY
    ) as client:
        with pytest.raises(SensorVisionError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert sandbox.requests[0].headers["X-API-Key"] == TOKEN
    assert TOKEN not in _told(caught.value)
    assert TOKEN not in caplog.text


ECHO = b'{"message":"No key %s here","errorType":"%s"}' % ((TOKEN.encode(),) * 2)


@both_clients
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        http_answer(200, b"\x1f\x8bnonsense", Content_Encoding="gzip"),
        http_answer(401, ECHO),
        http_answer(503, ECHO),
        http_answer(400, ECHO),
        http_answer(301, Location=f"http://127.0.0.1/?key={TOKEN}"),
        silence,
    ],
    ids=[
        "no status",
        "no HTTP",
        "no length",
        "no chunk",
        "no gzip",
        "echo 401",
        "echo 503",
        "echo 400",
        "redirect",
        "silence",
    ],
)
async def test_no_answer_brings_it_to_light(
    client_class: ClientClass, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Some servers repeat what they were sent, some libraries keep it."""
    caplog.set_level(logging.DEBUG)
    async with (
        scripted(answer) as server,
        client_class(server.url, api_key=TOKEN, retry=QUICK, timeouts=HASTY) as client,
    ):
        with pytest.raises(SensorVisionError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert TOKEN.encode() in server.requests[0]
    assert TOKEN not in _told(caught.value)
    assert TOKEN not in caplog.text


@both_clients
async def test_it_is_not_in_the_clients_repr(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Only the server is named."""
    async with client_class(sandbox.url, api_key=TOKEN) as client:
        assert repr(client).endswith(f"SensorVisionClient {sandbox.url}>")


@both_clients
async def test_it_is_not_in_a_url(client_class: ClientClass, sandbox: Sandbox) -> None:
    """Proxies write URLs into their logs."""
    async with client_class(sandbox.url, api_key=TOKEN) as client:
        await client.probe("dev-a")
        await client.send_data("dev-a", {"a": 1})
    assert sandbox.requests
    assert not any(TOKEN in arrived.path for arrived in sandbox.requests)


@both_clients
def test_malformed_one_is_not_repeated(client_class: ClientClass) -> None:
    """It may be a good one with a letter too many."""
    with pytest.raises(SensorVisionError) as caught:
        client_class("http://127.0.0.1", api_key="not-a-token-but-secret")
    assert "secret" not in repr((caught.value, vars(caught.value)))
    assert [caught.value] == list(_chain(caught.value))
