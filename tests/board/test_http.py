"""The board's HTTP client on real MicroPython, against servers that behave and misbehave."""

from pathlib import Path
import ssl
from typing import Any

import pytest
import trustme

from sandbox import Sandbox, Settings

from .conftest import TOKEN, Run
from .servers import (
    CLOSE,
    HANG,
    OK,
    OK_BODY,
    Answer,
    assert_given_up_in_time,
    der,
    scripted,
    silent,
)
from .tracing import written_to_server

_SEND = """
import asyncio, time, vfs
from sensorvision.connection import Unreachable
from sensorvision.http import HttpClient
from sensorvision.protocol import ingest_request
host = vfs.VfsPosix()
def open_files():
    return len(list(host.ilistdir("/proc/self/fd")))
def writes():
    with host.open("/proc/self/io", "r") as file:
        return int([line for line in file if line.startswith("syscw")][0].split()[1])
async def main():
    client = HttpClient(url, bytes.fromhex(ca) if ca else None, timeout_s)
    before = open_files()
    outcomes = []
    for number in range(count):
        request = ingest_request(device_id, token, {"temperature": number + 0.5})
        start = time.ticks_ms()
        wrote = writes()
        try:
            answer = await client.send(request)
        except Unreachable as err:
            outcome = {"unreachable": str(err)}
        else:
            outcome = {"kind": answer.kind, "status": answer.status, "message": answer.message,
                       "retry_after_s": answer.retry_after_s}
        outcome["writes"] = writes() - wrote
        outcome["ms"] = time.ticks_diff(time.ticks_ms(), start)
        outcomes.append(outcome)
        await asyncio.sleep_ms(pause_ms)
    client.close()
    say({"outcomes": outcomes, "leaked": open_files() - before})
asyncio.run(main())
"""


async def send(
    run: Run,
    url: str,
    *,
    count: int = 1,
    timeout_s: int = 5,
    pause_ms: int = 20,
    ca: bytes | None = None,
    token: str = TOKEN,
    device_id: str = "dev-a",
) -> list[dict[str, Any]]:
    """Send readings one after the other and return what came of each; no file may leak."""
    said = await run(
        _SEND,
        url=url,
        count=count,
        timeout_s=timeout_s,
        pause_ms=pause_ms,
        ca=ca.hex() if ca else "",
        token=token,
        device_id=device_id,
    )
    assert said["leaked"] == 0
    outcomes: list[dict[str, Any]] = said["outcomes"]
    return outcomes


def chunked(*sizes: int) -> bytes:
    """Return the answer in chunks of these sizes, the rest in one more."""
    body = OK_BODY
    chunks = b""
    for size in (*sizes, len(OK_BODY)):
        piece, body = body[:size], body[size:]
        if piece:
            chunks += b"%x;note=1\r\n%s\r\n" % (len(piece), piece)
    return (
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\nTrailer: x\r\n\r\n"
    )


def split(data: bytes, size: int) -> Answer:
    """Return an answer in pieces of so many bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


_WHOLE = {
    "content length": [OK],
    "content length, byte by byte": split(OK, 1),
    "one chunk": [chunked()],
    "many chunks, in odd pieces": split(chunked(1, 2, 3, 5, 8), 7),
    "chunks, byte by byte": split(chunked(4, 1), 1),
    "until the end": [b"HTTP/1.1 200 OK\r\n\r\n" + OK_BODY, CLOSE],
    "HTTP 1.0": [b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n", OK_BODY, CLOSE],
    "after an interim answer": [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
    "bare line feeds": [OK.replace(b"\r\n", b"\n")],
    "names and values in any case": [
        chunked(4).replace(b"Transfer-Encoding: chunked", b"TRANSFER-encoding:CHUNKED")
    ],
}


@pytest.mark.parametrize("name", _WHOLE)
async def test_answer_is_read_however_it_is_framed(run: Run, name: str) -> None:
    async with scripted(_WHOLE[name]) as server:
        outcomes = await send(run, server.url, count=2)
    assert [outcome.get("kind") for outcome in outcomes] == ["delivered", "delivered"]
    assert len(server.requests) == 2


async def test_request_is_what_the_server_asks_for(run: Run) -> None:
    async with scripted([OK]) as server:
        await send(run, server.url + "/prefix/", device_id="green.house")
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /prefix/api/v1/ingest/green.house HTTP/1.1"
    assert sorted(headers) == [
        "Accept: application/json",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        f"Host: {server.url.removeprefix('http://')}",
        f"X-API-Key: {TOKEN}",
    ]
    assert body == b'{"temperature":0.5}'


async def test_kept_connection_takes_one_write_a_message(run: Run) -> None:
    async with scripted([OK]) as server:
        outcomes = await send(run, server.url, count=10, pause_ms=0)
    assert [outcome["writes"] for outcome in outcomes] == [1] * 10
    assert server.reads == 10
    assert server.connections == 1


async def test_system_sees_one_write_a_request(tmp_path: Path) -> None:
    async with scripted([OK]) as server:
        written = await written_to_server(
            tmp_path,
            _SEND,
            url=server.url,
            count=20,
            timeout_s=5,
            pause_ms=0,
            ca="",
            token=TOKEN,
            device_id="dev-a",
        )
    assert len(written) == 20
    assert server.connections == 1


async def test_answer_without_a_body_keeps_the_connection(run: Run) -> None:
    async with scripted([b"HTTP/1.1 204 No Content\r\n\r\n"], [OK]) as server:
        outcomes = await send(run, server.url, count=2)
    assert [outcome.get("status") for outcome in outcomes] == [204, 200]
    assert server.connections == 1


async def test_memory_does_not_grow(run: Run) -> None:
    program = """
import asyncio, gc
from sensorvision.http import HttpClient
from sensorvision.protocol import ingest_request
async def main():
    client = HttpClient(url)
    held = []
    for number in range(400):
        await client.send(ingest_request("dev-a", token, {"temperature": number / 4}))
        if number % 100 == 99:
            gc.collect()
            held.append(gc.mem_alloc())
    client.close()
    say(held)
asyncio.run(main())
"""
    async with scripted([OK]) as server:
        held = await run(program, url=server.url, token=TOKEN)
    assert max(held) - min(held) <= 64 * len(held)
    assert server.connections == 1


async def test_connection_that_was_closed_meanwhile_is_replaced(run: Run) -> None:
    async with scripted([OK, CLOSE]) as server:
        outcomes = await send(run, server.url, count=3)
    assert [outcome.get("kind") for outcome in outcomes] == ["delivered"] * 3
    assert server.connections == 3
    assert len(server.requests) == 3


async def test_connection_that_closes_on_the_second_request_is_replaced_once(
    run: Run,
) -> None:
    async with scripted([OK], [CLOSE], [OK]) as server:
        outcomes = await send(run, server.url, count=2)
    assert [outcome.get("kind") for outcome in outcomes] == ["delivered"] * 2
    assert server.connections == 2
    assert server.requests[1] == server.requests[2]


async def test_new_connection_without_an_answer_is_not_tried_twice(run: Run) -> None:
    async with scripted([CLOSE]) as server:
        [outcome] = await send(run, server.url)
    assert outcome["unreachable"].endswith(
        "waiting for an answer: the connection was closed"
    )
    assert len(server.requests) == 1


async def test_answer_that_ends_early_is_not_tried_twice(run: Run) -> None:
    async with scripted([OK], [OK[:40], CLOSE]) as server:
        outcomes = await send(run, server.url, count=2)
    assert outcomes[1]["unreachable"].endswith("the connection was closed")
    assert len(server.requests) == 2


async def test_connection_is_closed_where_the_server_says_so(run: Run) -> None:
    answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    async with scripted([answer]) as server:
        await send(run, server.url, count=2)
    assert server.connections == 2


async def test_what_follows_an_answer_is_not_taken_for_the_next(run: Run) -> None:
    async with scripted(
        [OK + b"HTTP/1.1 500 late\r\nContent-Length: 0\r\n\r\n"]
    ) as server:
        outcomes = await send(run, server.url, count=2)
    assert [outcome.get("kind") for outcome in outcomes] == ["delivered"] * 2


async def test_redirect_is_not_followed(run: Run) -> None:
    async with scripted([OK]) as other:
        answer = b"HTTP/1.1 307 x\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n"
        async with scripted([answer % other.url.encode()]) as server:
            [outcome] = await send(run, server.url)
    assert (outcome["kind"], outcome["status"]) == ("try_later", 307)
    assert other.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 x\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 20_000,
        b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n"
        + b"x" * 20_000,
        b"HTTP/1.1 503 x\r\n\r\n" + b"x" * 20_000,
    ],
    ids=["content length", "chunked", "until the end"],
)
async def test_long_body_is_cut_and_its_status_counts(run: Run, answer: bytes) -> None:
    async with scripted([answer, HANG]) as server:
        outcomes = await send(run, server.url, count=2)
    assert [outcome.get("status") for outcome in outcomes] == [503, 503]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "this is no HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "invalid syntax for integer with base 10"),
        (b"HTTP/1.1 200 OK\r\n" + b"a" * 9000, "an endless answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: bcdefgh\r\n" * 1000, "an endless answer"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "invalid syntax",
        ),
    ],
    ids=[
        "another protocol",
        "no status",
        "endless line",
        "endless headers",
        "no chunk size",
    ],
)
async def test_nonsense_is_told_and_survived(
    run: Run, answer: bytes, problem: str
) -> None:
    async with scripted([answer, HANG], [OK]) as server:
        outcomes = await send(run, server.url, count=2)
    assert problem in outcomes[0]["unreachable"]
    assert outcomes[1]["kind"] == "delivered"


_STALLS: dict[str, Answer] = {
    "before the answer": [HANG],
    "in the status line": [OK[:9], HANG],
    "in the headers": [OK[:30], HANG],
    "in the body": [OK[:-5], HANG],
    "in a chunk": [chunked()[:70], HANG],
    "before the last chunk": [chunked().partition(b"0\r\nTrailer")[0], HANG],
    # Each byte comes in time, the whole never does.
    "all the time": [*split(OK[:17] + b"Slow: " + b"x" * 2000, 1), HANG],
}


@pytest.mark.parametrize("name", _STALLS)
async def test_deadline_holds_wherever_the_answer_stalls(run: Run, name: str) -> None:
    async with scripted(_STALLS[name], [OK]) as server:
        outcomes = await send(run, server.url, count=2, timeout_s=1)
    assert_given_up_in_time(outcomes[0], "waiting for an answer")
    assert outcomes[1]["kind"] == "delivered"


async def test_deadline_holds_while_connecting(run: Run) -> None:
    async with silent(is_full=True) as address:
        [outcome] = await send(run, f"http://{address}", timeout_s=1)
    assert_given_up_in_time(outcome, "connecting")


async def test_deadline_holds_in_the_tls_handshake(
    run: Run, authority: trustme.CA
) -> None:
    async with silent(is_full=False) as address:
        [outcome] = await send(
            run, f"https://{address}", timeout_s=1, ca=der(authority)
        )
    assert_given_up_in_time(outcome, "connecting")


async def test_refused_connection_is_told(run: Run) -> None:
    async with silent(is_full=False) as address:
        pass
    [outcome] = await send(run, f"http://{address}")
    assert outcome["unreachable"] == f"{address}, connecting: ECONNREFUSED"


async def test_unknown_host_is_told(run: Run) -> None:
    [outcome] = await send(run, "http://sensorvision.invalid:81")
    assert outcome["unreachable"].startswith(
        "sensorvision.invalid:81, looking up its name: "
    )


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """Return the TLS side of a server of this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_server_of_the_right_authority_and_name_is_trusted(
    run: Run, authority: trustme.CA
) -> None:
    settings = Settings(
        fixtures="contract", ssl_context=server_context(authority, "localhost")
    )
    async with Sandbox(settings) as sandbox:
        url = sandbox.url.replace("127.0.0.1", "localhost")
        outcomes = await send(run, url, count=5, ca=der(authority), pause_ms=0)
        values = [
            float(row.value) for row in sandbox.store.values("dev-a", "temperature")
        ]
    assert [outcome.get("kind") for outcome in outcomes] == ["delivered"] * 5
    assert values == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert [outcome["writes"] for outcome in outcomes[1:]] == [1] * 4


async def test_tls_server_of_another_authority_is_refused(
    run: Run, authority: trustme.CA
) -> None:
    async with scripted([OK], tls=server_context(trustme.CA(), "localhost")) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        [outcome] = await send(run, url, ca=der(authority))
    assert outcome["unreachable"].endswith("not correctly signed by the trusted CA")
    assert server.requests == []


async def test_tls_server_of_another_name_is_refused(
    run: Run, authority: trustme.CA
) -> None:
    async with scripted([OK], tls=server_context(authority, "other.example")) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        [outcome] = await send(run, url, ca=der(authority))
    assert outcome["unreachable"].endswith("(CN) does not match with the expected CN")
    assert server.requests == []


async def test_plain_server_behind_https_is_told(
    run: Run, authority: trustme.CA
) -> None:
    async with scripted([OK]) as server:
        [outcome] = await send(
            run, server.url.replace("http:", "https:"), ca=der(authority), timeout_s=1
        )
    assert "unreachable" in outcome


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (None, "delivered", 200),
        ("http_301", "try_later", 301),
        ("html_200", "try_later", 200),
        ("http_429", "try_later", 429),
        ("http_500", "try_later", 500),
        ("http_502", "try_later", 502),
        ("http_503", "try_later", 503),
        ("http_504", "try_later", 504),
    ],
)
async def test_each_answer_of_the_server_is_classified(
    run: Run, sandbox: Sandbox, fault: str | None, kind: str, status: int
) -> None:
    if fault:
        sandbox.faults.set(fault)
    [outcome] = await send(run, sandbox.url)
    assert (outcome["kind"], outcome["status"]) == (kind, status)
    assert len(sandbox.store.values("dev-a")) == (kind == "delivered")


@pytest.mark.parametrize(
    ("token", "device_id", "kind"),
    [
        ("99999999-9999-4999-8999-999999999999", "dev-a", "sign_in"),
        (TOKEN, "dev-b", "wrong_device"),
    ],
)
async def test_refusal_is_classified(
    run: Run, sandbox: Sandbox, token: str, device_id: str, kind: str
) -> None:
    [outcome] = await send(run, sandbox.url, token=token, device_id=device_id)
    assert outcome["kind"] == kind


@pytest.mark.parametrize(
    ("fault", "stored"),
    [("reset", 0), ("reset_after_commit", 1), ("truncated_chunk", 1)],
)
async def test_broken_exchange_is_told(
    run: Run, sandbox: Sandbox, fault: str, stored: int
) -> None:
    sandbox.faults.set(fault)
    [outcome] = await send(run, sandbox.url)
    assert "unreachable" in outcome
    assert len(sandbox.store.values("dev-a")) == stored


async def test_waiting_time_that_the_server_names_is_passed_on(
    run: Run, sandbox: Sandbox
) -> None:
    sandbox.faults.set("http_429", seconds=7)
    [outcome] = await send(run, sandbox.url)
    assert outcome["retry_after_s"] == 7
