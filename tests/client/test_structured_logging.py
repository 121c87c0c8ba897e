"""Logs as JSON say what happened to whoever looks, and no secret to anybody."""

import io
import json
import logging
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    JsonFormatter,
    RetryPolicy,
    Secret,
    SensorVisionError,
)
from custom_components.sensorvision.client.redaction import redacted, redacted_data

from .servers import TOKEN, http_answer, scripted

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.abc-DEF_123"
PASSWORD = "battery/staple é&"
CORRELATION_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


class Log:
    """A logger that writes to memory, and what it has written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._stream = io.StringIO()
        self.logger = logging.Logger("sensorvision.test")  # noqa: LOG001
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(formatter)
        self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        """Return all that was written."""
        return self._stream.getvalue()

    def line(self) -> dict[str, Any]:
        """Return the only line."""
        (line,) = self.text.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture
def log() -> Log:
    """Return a log that is empty."""
    return Log(JsonFormatter())


def test_record_is_one_line_of_json(log: Log) -> None:
    record = logging.LogRecord(
        "sensorvision", logging.INFO, "", 0, "Sent %s\nof %s", (1, "2 °C"), None
    )
    record.created = 1764367200.0625
    log.logger.handle(record)
    assert log.line() == {
        "time": "2025-11-28T22:00:00.062Z",
        "level": "INFO",
        "logger": "sensorvision",
        "message": "Sent 1\nof 2 °C",
    }


def test_extras_are_beside_the_message(log: Log) -> None:
    log.logger.info(
        "Sent", extra={"device": "boiler", "count": 2, "nan": float("nan"), "time": 1}
    )
    assert log.line()["extra"] == {
        "device": "boiler",
        "count": 2,
        "nan": "nan",
        "time": 1,
    }


def test_stack_is_told_where_it_is_asked_for(log: Log) -> None:
    log.logger.info("Here", stack_info=True)
    assert "test_stack_is_told" in log.line()["stack"]


def test_any_exception_is_told_with_its_traceback(log: Log) -> None:
    try:
        int(f"password={PASSWORD}")
    except ValueError:
        log.logger.exception("Failed")
    line = log.line()
    assert "ValueError: invalid literal" in line["exception"]
    assert "battery" not in log.text
    assert "error" not in line


async def test_error_of_ours_is_told_by_its_facts(log: Log) -> None:
    body = json.dumps({"detail": f"Bad {TOKEN}", "errorType": "Odd"}).encode()
    answer = http_answer(503, body, X_Correlation_ID=CORRELATION_ID, Retry_After="9")
    once = RetryPolicy(attempts=1)
    async with (
        scripted(answer) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN, retry=once) as client,
    ):
        try:
            await client.send_data("dev-a", {"a": 1})
        except SensorVisionError:
            log.logger.exception("Failed")
    assert log.line()["error"] == {
        "type": "ServerError",
        "code": "server",
        "status": 503,
        "error_type": "Odd",
        "correlation_id": CORRELATION_ID,
        "retry_after_s": 9,
    }
    assert TOKEN not in log.text


def test_secrets_that_live_are_blackened_wherever_they_stand(log: Log) -> None:
    password = Secret(PASSWORD)
    log.logger.info(
        "%s and %s and %r",
        password.reveal(),
        "https://x/?q=battery%2Fstaple%20%C3%A9%26",
        {"a": password},
        extra={"said": [f"no {PASSWORD}"], PASSWORD: 1},
    )
    line = log.line()
    assert line["message"] == "*** and https://x/?q=*** and {'a': Secret('***')}"
    assert line["extra"] == {"said": ["no ***"], "***": 1}


def test_formatter_keeps_the_secrets_alive_that_it_is_given() -> None:
    log = Log(JsonFormatter([Secret("wilhelmine")]))
    log.logger.info("wilhelmine was here")
    assert log.line()["message"] == "*** was here"


def test_short_secret_is_blackened_as_a_whole_word_alone() -> None:
    """Else ordinary words would show it by their gaps."""
    held = Secret("on")
    assert redacted("Turn on the button") == "Turn *** the button"
    assert held


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"No key {TOKEN} here", "No key *** here"),
        (f"No key {TOKEN.upper()}", "No key ***"),
        (f"Bearer {JWT}", "Bearer ***"),
        (f"Got {JWT}.", "Got ***."),
        ("Authorization: Basic YTpi", "Authorization: ***"),
        ("X-API-Key: abc", "X-API-Key: ***"),
        ("{'Authorization': 'Bearer abc', 'a': 1}", "{'Authorization': ***, 'a': 1}"),
        ('{"refreshToken": "a b", "n": 1}', '{"refreshToken": ***, "n": 1}'),
        ("password=hunter2&user=a", "password=***&user=a"),
        ("mqtt_password = 'a b'", "mqtt_password = ***"),
        ("f(user_key=key, n=1)", "f(user_key=***, n=1)"),
        ("mqtt://bob:pw@host:1883", "mqtt://***@host:1883"),
        ("TokenExistsError: The device", "TokenExistsError: The device"),
        ("https://host/path", "https://host/path"),
        ("The token is used", "The token is used"),
    ],
)
def test_what_looks_like_a_secret_is_blackened(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_what_is_named_like_a_secret_is_blackened() -> None:
    data = {
        "apiToken": 5,
        "X-API-Key": "a",
        "mqtt_password": ["a"],
        "has_token": True,
        "headers": {"Authorization": "a", "Accept": "b"},
        "sizes": (1, 2.5, None),
        "seen": frozenset({"a"}),
    }
    assert redacted_data(data) == {
        "apiToken": "***",
        "X-API-Key": "***",
        "mqtt_password": "***",
        "has_token": True,
        "headers": {"Authorization": "***", "Accept": "b"},
        "sizes": [1, 2.5, None],
        "seen": ["a"],
    }


def test_data_that_hold_themselves_have_an_end(log: Log) -> None:
    endless: list[object] = []
    endless.append(endless)
    log.logger.info("Odd", extra={"endless": endless})
    assert "[...]" in log.text
