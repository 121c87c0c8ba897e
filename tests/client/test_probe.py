"""A probe finds out about URL, token and device id, and stores nothing."""

import asyncio
import contextlib
from dataclasses import asdict
import datetime as dt
import re
import socket
import time
from typing import Any

import aiohttp
from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult
import pytest

from custom_components.sensorvision.client import (
    ACCOUNT,
    DEVICE_TOKEN,
    USER_KEY,
    AnswerError,
    AsyncSensorVisionClient,
    AuthenticationError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    Probe,
    RateLimitError,
    RedirectError,
    RetryPolicy,
    SensorVisionError,
    ServerAge,
    ServerError,
    ServerInfo,
    ValidationError,
)
from sandbox import Mode, Sandbox, Settings
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD

from .servers import (
    CONNECTIVITY,
    INGEST,
    STORED,
    TOKEN,
    eventually,
    http_answer,
    scripted,
    silence,
)

STRANGER = "99999999-1111-4111-8111-111111111111"
USER_CAN = ("timestamps", "bulk", "create_devices")
ONLINE = http_answer(200, b'{"status":"online","reachable":true}')
GOOD = http_answer(
    400, b'{"success":false,"message":"At least one numeric variable is required"}'
)
PAGE = b"<html><title>Router</title></html>"


async def _probe(url: str, device_id: str = "dev-a", token: str = TOKEN) -> Probe:
    async with AsyncSensorVisionClient(url, api_key=token) as client:
        return await client.probe(device_id)


@pytest.mark.parametrize("device_id", ["dev-a", "dev-a2", "free-id"])
async def test_good_url_token_and_device_id_pass(
    sandbox: Sandbox, device_id: str
) -> None:
    """The device id is good if it is ours or free."""
    found = await _probe(sandbox.url, device_id)
    assert found.has_connectivity_check
    assert not sandbox.store.values(device_id)
    assert len(sandbox.requests) == 3


async def test_probe_makes_no_device(sandbox: Sandbox) -> None:
    """Setting up leaves no trace on the server."""
    await _probe(sandbox.url, "free-id")
    assert sandbox.store.device("free-id") is None


async def test_unknown_token_is_refused(sandbox: Sandbox) -> None:
    """No device has it."""
    with pytest.raises(AuthenticationError, match=r"^Invalid API key "):
        await _probe(sandbox.url, token="99999999-1111-4111-8111-111111111111")


@pytest.mark.parametrize("token", ["", "secret", TOKEN + "1", TOKEN[1:]])
async def test_malformed_token_is_refused_before_it_is_sent(
    sandbox: Sandbox, token: str
) -> None:
    """It may be another secret, pasted by mistake."""
    with pytest.raises(ValidationError, match=r"^device token") as caught:
        await _probe(sandbox.url, token=token)
    assert not token or token not in str(caught.value)
    assert not sandbox.requests


async def test_malformed_device_id_is_refused_before_it_is_sent(
    sandbox: Sandbox,
) -> None:
    """The server could not be addressed with it."""
    with pytest.raises(ValidationError, match=r"^device id"):
        await _probe(sandbox.url, "a/b")
    assert not sandbox.requests


async def test_foreign_device_id_is_refused(sandbox: Sandbox) -> None:
    """The installation needs another prefix."""
    with pytest.raises(PermissionDeniedError, match="Choose another device id"):
        await _probe(sandbox.url, "dev-b")


async def test_server_without_connectivity_check_passes() -> None:
    """Servers before December 2025 answer it with an empty 401."""
    modes = frozenset({Mode.NO_CONNECTIVITY})
    async with Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox:
        found = await _probe(sandbox.url)
    assert not found.has_connectivity_check


@pytest.mark.parametrize("fault", ["http_429", "http_503", "http_500"])
async def test_trouble_of_the_connectivity_check_alone_does_not_matter(
    sandbox: Sandbox, fault: str
) -> None:
    """Only the probe itself decides."""
    sandbox.faults.set(fault, path=CONNECTIVITY)
    assert not (await _probe(sandbox.url)).has_connectivity_check


async def test_used_up_limit_of_the_connectivity_check_does_not_matter(
    sandbox: Sandbox,
) -> None:
    """All anonymous callers share one limit."""
    for _ in range(60):
        sandbox.context.limits.plugins.admits("anonymousUser")
    assert not (await _probe(sandbox.url)).has_connectivity_check


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_429", RateLimitError),
        ("http_500", ServerError),
        ("http_503", ServerError),
        ("reset", NetworkError),
        ("html_200", NotSensorVisionError),
        ("http_301", RedirectError),
    ],
)
@pytest.mark.parametrize("path", [None, INGEST])
async def test_trouble_has_its_own_error(
    sandbox: Sandbox, fault: str, error: type[SensorVisionError], path: str | None
) -> None:
    """Each can be told apart beside the right field."""
    sandbox.faults.set(fault, path=path)
    with pytest.raises(error):
        await _probe(sandbox.url)


@pytest.mark.parametrize("fault", ["html_200", "http_301"])
async def test_token_is_not_sent_to_a_stranger(sandbox: Sandbox, fault: str) -> None:
    """The public check comes first, and shows who answers."""
    sandbox.faults.set(fault)
    with pytest.raises(AnswerError):
        await _probe(sandbox.url)
    assert [arrived.path for arrived in sandbox.requests] == [CONNECTIVITY]
    assert "X-API-Key" not in sandbox.requests[0].headers


@pytest.mark.parametrize("path", ["/elsewhere", "/api/v1", "/api/v1/ingest"])
async def test_wrong_path_is_named(sandbox: Sandbox, path: str) -> None:
    """An empty 401 there is no verdict on the token."""
    with pytest.raises(NotSensorVisionError, match="Check host, port and path"):
        await _probe(sandbox.url + path)


@pytest.mark.parametrize(
    "answers",
    [
        [http_answer(404, PAGE)],
        [http_answer(403, PAGE)],
        [http_answer(405, PAGE)],
        [http_answer(200, PAGE)],
        [http_answer(200, b"OK")],
        [http_answer(401), http_answer(401)],
        [http_answer(401), http_answer(404, PAGE)],
        [http_answer(401), http_answer(405, PAGE)],
        [http_answer(502), http_answer(403, PAGE)],
        [http_answer(502), http_answer(501, PAGE)],
        [ONLINE, http_answer(404, b'{"title":"Resource Not Found"}')],
        [ONLINE, http_answer(200, STORED)],
        [ONLINE, http_answer(200, b'{"ok":true}')],
        [ONLINE, http_answer(204)],
    ],
    ids=lambda answers: " ".join(answer[9:12].decode() for answer in answers),
)
async def test_other_servers_are_told_apart(answers: list[bytes]) -> None:
    """Routers, proxies and Home Assistant itself answer so."""
    async with scripted(*answers) as server:
        with pytest.raises(NotSensorVisionError):
            await _probe(server.url)
    assert len(server.requests) == len(answers)


async def test_page_of_a_proxy_is_no_connectivity_check() -> None:
    """A status alone proves nothing."""
    async with scripted(http_answer(503, PAGE), GOOD) as server:
        found = await _probe(server.url)
    assert not found.has_connectivity_check


class IdnaResolver(ThreadedResolver):
    """Encodes a name as the system's resolver does, and asks nobody."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Refuse names that can't be encoded."""
        host.encode("idna")
        raise OSError(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".invalid", "unknown.invalid"])
async def test_unknown_host_is_named(host: str) -> None:
    """Some names are refused before any name server is asked."""
    connector = aiohttp.TCPConnector(resolver=IdnaResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = AsyncSensorVisionClient(
            f"http://{host}", api_key=TOKEN, session=session
        )
        with pytest.raises(HostNotFoundError, match=f"no host named {re.escape(host)}"):
            await client.probe("dev-a")


async def test_closed_port_is_a_network_error() -> None:
    """The machine is there, the server is not."""
    async with scripted(GOOD) as server:
        url = server.url
    with pytest.raises(NetworkError, match="Check that the server is on"):
        await _probe(url)


async def test_something_that_speaks_no_http_is_named() -> None:
    """A wrong port is not a server that is off."""
    async with scripted(b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        with pytest.raises(NotHttpError, match="does not speak HTTP"):
            await _probe(server.url)


async def test_https_to_a_port_without_tls_is_named(sandbox: Sandbox) -> None:
    """It is no matter of certificates."""
    with pytest.raises(NotHttpError, match=r"does not speak TLS.*http or https"):
        await _probe(sandbox.url.replace("http:", "https:"))


async def test_cancelled_probe_closes_its_connection() -> None:
    """Closing the form leaves nothing behind."""
    async with scripted(silence) as server:
        task = asyncio.create_task(_probe(server.url))
        await eventually(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.closed)
    assert len(server.requests) == 1


ACCOUNT_OF_ALICE: dict[str, Any] = {"username": "alice", "password": ALICE_PASSWORD}


@pytest.mark.parametrize(
    ("credential", "kind", "can"),
    [
        ({"api_key": TOKEN}, DEVICE_TOKEN, ()),
        ({"api_key": ALICE_KEY}, USER_KEY, USER_CAN),
        ({"user_key": ALICE_KEY}, USER_KEY, USER_CAN),
        (ACCOUNT_OF_ALICE, ACCOUNT, (*USER_CAN, "read_back", "name_variables")),
    ],
)
@pytest.mark.parametrize("device_id", ["dev-a", "free-id"])
async def test_credential_is_told_with_what_it_can_do(
    sandbox: Sandbox,
    credential: dict[str, Any],
    kind: str,
    can: tuple[str, ...],
    device_id: str,
) -> None:
    """And still nothing is stored and no device made."""
    async with AsyncSensorVisionClient(sandbox.url, **credential) as client:
        found = await client.probe(device_id)
        assert client.credential == found.credential == kind
    assert {name for name, is_on in asdict(found.capabilities).items() if is_on} == {
        *can
    }
    assert sandbox.store.device("free-id") is None


@pytest.mark.parametrize(
    ("api_key", "failed"), [(TOKEN, 1), (ALICE_KEY, 0), (STRANGER, 2)]
)
async def test_telling_keys_apart_costs_as_few_failed_look_ups_as_can_be(
    sandbox: Sandbox, api_key: str, failed: int
) -> None:
    """Ten of them make the server deaf to all user keys of the address."""
    keys = sandbox.context.limits.keys
    keys.failed("127.0.0.1", 5)
    async with AsyncSensorVisionClient(sandbox.url, api_key=api_key) as client:
        with contextlib.suppress(AuthenticationError):
            await client.probe("dev-a")
    assert keys.failures("127.0.0.1") == (5 + failed if failed else 0)


@pytest.mark.parametrize("credential", [{"api_key": ALICE_KEY}, ACCOUNT_OF_ALICE])
async def test_foreign_device_id_is_refused_to_users(
    sandbox: Sandbox, credential: dict[str, Any]
) -> None:
    """Though they list only their own."""
    async with AsyncSensorVisionClient(sandbox.url, **credential) as client:
        with pytest.raises(PermissionDeniedError):
            await client.probe("dev-b")


@pytest.mark.parametrize(
    ("fault", "error"),
    [("http_500", ServerError), ("http_503", ServerError), ("reset", NetworkError)],
)
async def test_trouble_while_telling_keys_apart_is_no_refusal(
    sandbox: Sandbox, fault: str, error: type[SensorVisionError]
) -> None:
    """It may be a good user key after all."""
    sandbox.faults.set(fault, path="/api/v1/devices")
    async with AsyncSensorVisionClient(
        sandbox.url, api_key=ALICE_KEY, retry=RetryPolicy(attempts=1)
    ) as client:
        with pytest.raises(error):
            await client.probe("dev-a")
        with pytest.raises(error):
            await client.send_data("dev-a", {"a": 1})


@pytest.mark.parametrize(
    "answers",
    [
        [http_answer(404, PAGE)],
        [http_answer(401), http_answer(200, b'{"not":"a list"}')],
        [ONLINE, http_answer(200, b"[1]")],
        [ONLINE, http_answer(404, b'{"title":"Resource Not Found"}')],
    ],
    ids=["page", "object", "numbers", "path"],
)
async def test_other_servers_are_told_apart_by_users(answers: list[bytes]) -> None:
    """As they are by devices."""
    async with (
        scripted(*answers) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        with pytest.raises(NotSensorVisionError):
            await client.probe("dev-a")


async def test_old_server_shows_no_variables() -> None:
    """Before 2025-12-06 its devices have no ids to ask by."""
    modes = frozenset({Mode.BEFORE_2025_12_06})
    async with (
        Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox,
        AsyncSensorVisionClient(sandbox.url, **ACCOUNT_OF_ALICE) as client,
    ):
        can = (await client.probe("dev-a")).capabilities
    assert can.bulk
    assert not can.read_back
    assert not can.name_variables


DEC_4 = dt.date(2025, 12, 4)
DEC_6 = dt.date(2025, 12, 6)
JAN_18 = dt.date(2026, 1, 18)


@pytest.mark.parametrize(
    ("mode", "for_devices", "for_users"),
    [
        (
            None,
            ServerAge(not_before=JAN_18),
            ServerAge(not_before=JAN_18),
        ),
        (
            Mode.BEFORE_2026_01_18,
            ServerAge(DEC_4, JAN_18),
            ServerAge(DEC_6, JAN_18),
        ),
        (
            Mode.BEFORE_2025_12_06,
            ServerAge(DEC_4, JAN_18),
            ServerAge(DEC_4, DEC_6),
        ),
    ],
)
async def test_server_is_as_old_as_what_it_lacks(
    mode: Mode | None, for_devices: ServerAge, for_users: ServerAge
) -> None:
    """A user sees more of it than a device."""
    modes = frozenset({mode} if mode else ())
    async with Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox:
        assert (await _probe(sandbox.url)).age == for_devices
        async with AsyncSensorVisionClient(sandbox.url, **ACCOUNT_OF_ALICE) as client:
            assert (await client.probe("dev-a")).age == for_users


async def test_server_without_the_check_is_older_than_it() -> None:
    """Then it keeps but five variables, and says yes to all."""
    modes = frozenset({Mode.NO_CONNECTIVITY})
    async with Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox:
        age = (await _probe(sandbox.url)).age
    assert age == ServerAge(before=DEC_4)
    assert age.loses_readings
    assert age.misplaces_devices


async def test_credential_is_kept_out_of_the_question_for_the_age(
    sandbox: Sandbox,
) -> None:
    """A key there would count as one more failed try."""
    await _probe(sandbox.url)
    asked = sandbox.requests[-1]
    assert asked.path == f"{INGEST}dev-a/"
    assert not {"X-API-Key", "Authorization"} & set(asked.headers)


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(404, PAGE),
        http_answer(401),
        http_answer(301, Location="/elsewhere"),
        http_answer(500, b'{"errorType":"CannotCreateTransactionException"}'),
        b"no HTTP",
    ],
    ids=["page", "firewall", "redirect", "trouble", "nonsense"],
)
async def test_answer_of_somebody_else_tells_no_age(answer: bytes) -> None:
    """Nor does it fail the probe."""
    async with scripted(ONLINE, GOOD, answer) as server:
        assert (await _probe(server.url)).age == ServerAge(DEC_4)


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (set(), ServerInfo(dt.date(2025, 12, 28), "indcloud")),
        ({Mode.BEFORE_2025_12_06}, ServerInfo(dt.date(2025, 12, 4), "sensorvision")),
        ({Mode.NO_CONNECTIVITY}, ServerInfo(None, "sensorvision")),
    ],
)
async def test_server_tells_its_age_and_its_mqtt_prefix(
    modes: set[Mode], expected: ServerInfo
) -> None:
    """By what it answers to everybody."""
    async with (
        Sandbox(Settings(fixtures="contract", modes=frozenset(modes))) as sandbox,
        AsyncSensorVisionClient(sandbox.url, **ACCOUNT_OF_ALICE) as client,
    ):
        assert await client.server_info() == expected
    for arrived in sandbox.requests:
        assert not {"X-API-Key", "Authorization"} & set(arrived.headers)


@pytest.mark.parametrize(
    "metrics",
    [
        http_answer(302, Location="/oauth2/login"),
        http_answer(200, PAGE),
        http_answer(200, b'x{application="other"} 1'),
        http_answer(503, b'x{application="indcloud"} 1'),
    ],
    ids=["redirect", "page", "other", "trouble"],
)
async def test_server_without_metrics_leaves_its_prefix_unknown(metrics: bytes) -> None:
    """Not every proxy lets them through."""
    async with (
        scripted(ONLINE, metrics) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN) as client,
    ):
        found = await client.server_info()
    assert found == ServerInfo(dt.date(2025, 12, 4), None)


async def test_metrics_of_many_devices_are_read_only_at_their_beginning() -> None:
    """Thousands of lines say the same."""
    metrics = b'x{application="indcloud"} 1\n' * 10_000
    async with (
        scripted(ONLINE, http_answer(200, metrics)) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN) as client,
    ):
        assert (await client.server_info()).mqtt_prefix == "indcloud"


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1_445_412_480),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 1_445_412_480),
        ("yesterday", None),
        ("", None),
        ("Wed, 41 Oct 2015 07:28:00 GMT", None),
    ],
)
async def test_clock_of_the_server_is_compared(
    date: str, ahead_s: float | None
) -> None:
    """A date that is none says nothing, and does no harm."""
    online = http_answer(200, b'{"status":"online"}', Date=date)
    metrics = http_answer(200, b"", Date=date)
    async with (
        scripted(online, metrics) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN) as client,
    ):
        assert client.clock_offset_s is None
        await client.server_info()
        offset_s = client.clock_offset_s
    if ahead_s is None:
        assert offset_s is None
    else:
        assert offset_s == pytest.approx(ahead_s - time.time(), abs=5)
