"""A server with several addresses is asked at the next one when one does not answer."""

import asyncio

import pytest
import trustme

from custom_components.sensorvision.client import (
    CertificateError,
    CircuitBreaker,
    NetworkError,
    RetryPolicy,
    ServerError,
)
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_KEY

from .both_clients import ClientClass, both_clients
from .servers import STORED, TOKEN, http_answer, scripted, server_context
from .test_policies import Watch

NUMBERS = {"a": 1}
GOOD = http_answer(200, STORED)
QUICK = RetryPolicy(attempts=2, first_delay_s=0.001)


@pytest.fixture
async def dead() -> str:
    """Return an address where nobody listens."""
    async with scripted(GOOD) as server:
        pass
    return server.url


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Take a request and say nothing to it."""
    writer.close()


@both_clients
async def test_next_address_is_asked_and_kept_to(
    client_class: ClientClass, sandbox: Sandbox, dead: str
) -> None:
    """The caller does not notice."""
    async with client_class(
        dead, fallback_urls=[dead, sandbox.url], api_key=TOKEN, retry=RetryPolicy.off()
    ) as client:
        for _ in range(3):
            await client.send_data("dev-a", NUMBERS)
        assert client.clock_offset_s is not None
    assert len(sandbox.store.values("dev-a")) == 3
    assert sandbox.requests[0].headers["X-API-Key"] == TOKEN


@both_clients
async def test_first_address_is_asked_again_after_five_minutes(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It is the preferred one."""
    watch = Watch()
    async with (
        scripted(hang_up, GOOD) as first,
        client_class(
            first.url,
            fallback_urls=[sandbox.url],
            api_key=TOKEN,
            retry=QUICK,
            clock=watch,
        ) as client,
    ):
        await client.send_data("dev-a", NUMBERS)
        watch.time_s += 299
        await client.send_data("dev-a", NUMBERS)
        assert (len(first.requests), len(sandbox.requests)) == (1, 2)
        watch.time_s += 1
        await client.send_data("dev-a", NUMBERS)
    assert (len(first.requests), len(sandbox.requests)) == (2, 2)


@both_clients
async def test_reading_that_may_have_arrived_is_not_sent_elsewhere_by_itself(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It might be stored twice; that is the caller's decision, or the retries'."""
    async with (
        scripted(hang_up) as first,
        client_class(
            first.url,
            fallback_urls=[sandbox.url],
            api_key=TOKEN,
            retry=RetryPolicy.off(),
        ) as client,
    ):
        with pytest.raises(NetworkError) as caught:
            await client.send_data("dev-a", NUMBERS)
        assert caught.value.may_have_arrived
        assert not sandbox.requests
        # What answers nothing is not asked first again.
        await client.send_data("dev-a", NUMBERS)
    assert (len(first.requests), len(sandbox.requests)) == (1, 1)


@both_clients
async def test_look_up_is_asked_elsewhere_at_once(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It does no harm twice."""
    async with (
        scripted(hang_up) as first,
        client_class(
            first.url, fallback_urls=[sandbox.url], user_key=ALICE_KEY
        ) as client,
    ):
        devices = await client.devices()
    assert {"dev-a", "dev-a2"} <= {device.device_id for device in devices}
    assert first.requests


@both_clients
async def test_certificate_that_is_not_trusted_is_not_passed_over(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Somebody may be between."""
    context = server_context(trustme.CA())
    async with (
        Sandbox(Settings(fixtures="contract", ssl_context=context)) as stranger,
        client_class(
            stranger.url, fallback_urls=[sandbox.url], api_key=TOKEN
        ) as client,
    ):
        for _ in range(2):
            with pytest.raises(CertificateError):
                await client.send_data("dev-a", NUMBERS)
    assert not sandbox.requests


@both_clients
async def test_server_that_answers_is_not_replaced(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The other address is the same server's."""
    async with (
        scripted(http_answer(503)) as first,
        client_class(
            first.url, fallback_urls=[sandbox.url], api_key=TOKEN, retry=QUICK
        ) as client,
    ):
        with pytest.raises(ServerError):
            await client.send_data("dev-a", NUMBERS)
    assert not sandbox.requests


@both_clients
async def test_address_that_keeps_failing_is_passed_over(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Each address has a breaker of its own."""
    async with (
        scripted(http_answer(503)) as first,
        client_class(
            first.url,
            fallback_urls=[sandbox.url],
            api_key=TOKEN,
            retry=QUICK,
            breaker=CircuitBreaker(failures=2),
        ) as client,
    ):
        with pytest.raises(ServerError):
            await client.send_data("dev-a", NUMBERS)
        await client.send_data("dev-a", NUMBERS)
    assert (len(first.requests), len(sandbox.requests)) == (2, 1)


@both_clients
async def test_last_address_says_what_is_wrong_if_none_answers(
    client_class: ClientClass, dead: str
) -> None:
    """Each was asked once an attempt."""
    async with client_class(
        dead, fallback_urls=[dead], api_key=TOKEN, retry=QUICK
    ) as client:
        with pytest.raises(
            NetworkError, match=r"The connection to 127\.0\.0\.1 failed"
        ):
            await client.send_data("dev-a", NUMBERS)
        assert repr(client).endswith(f"{dead}>")
