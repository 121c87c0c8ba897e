"""A server is tried without storing anything, and only its own words pass it."""

import json

import pytest

from custom_components.sensorvision.client.probing import (
    connectivity_request,
    is_probe_passed,
    probe_request,
)
from custom_components.sensorvision.client.protocol import (
    ValidationError,
    ingest_request,
    read_answer,
)

from .protocol_table import DEVICE_ID_REMEDY, HTML, NO_HEADERS, TOKEN, verdict

_NOTHING = "At least one numeric variable is required"


def test_probe_is_an_ingest_of_nothing() -> None:
    probe = probe_request("dev-a", TOKEN)
    assert json.loads(probe.body) == {}
    ingest = ingest_request("dev-a", TOKEN, {"temperature": 21.5})
    assert (probe.method, probe.path) == ("POST", "/api/v1/ingest/dev-a")
    assert (probe.method, probe.path, probe.headers) == (
        ingest.method,
        ingest.path,
        ingest.headers,
    )


def test_probe_refuses_a_device_id_that_can_not_be_addressed() -> None:
    with pytest.raises(ValidationError) as caught:
        probe_request("", TOKEN)
    assert str(caught.value) == f"device id '' cannot be used. {DEVICE_ID_REMEDY}"


def test_connectivity_check_carries_no_credential() -> None:
    check = connectivity_request()
    assert (check.method, check.path) == ("GET", "/api/v1/connectivity/http")
    assert check.headers == {"Accept": "application/json"}
    assert check.body == b""


@pytest.mark.parametrize(
    ("status", "body", "is_passed"),
    [
        (400, verdict(False, _NOTHING), True),
        (400, verdict(False, "Invalid numeric value"), False),
        (200, verdict(False, _NOTHING), False),
        (400, HTML, False),
    ],
    ids=["good", "other refusal", "other status", "page"],
)
def test_probe_passes_by_the_words_of_the_server_alone(
    status: int, body: bytes, is_passed: bool
) -> None:
    assert is_probe_passed(read_answer(status, NO_HEADERS, body)) is is_passed
