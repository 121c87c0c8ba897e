"""Say how to try a server before anything is sent to it, and what its answers mean.

Pure as `protocol` is. A board sends at once and learns all from the answer, so this runs on
CPython only.
"""

from __future__ import annotations

from .protocol import Answer, Request, ingest_request

_NOTHING_TO_STORE = "At least one numeric variable is required"


def probe_request(device_id: str, token: str) -> Request:
    """Build the request that tries URL, token and device id and stores nothing.

    `is_probe_passed` reads its answer. Its only effect is the token's last-used time.

    Raises:
        ValidationError: see `protocol.check_device_id`.
    """
    full = ingest_request(device_id, token, {"nothing": 0})
    return Request(full.method, full.path, full.headers, b"{}")


def connectivity_request() -> Request:
    """Build the public request that tells whether this is a SensorVision server."""
    return Request(
        "GET", "/api/v1/connectivity/http", {"Accept": "application/json"}, b""
    )


def is_probe_passed(answer: Answer) -> bool:
    """Tell whether a probe found URL, token and device id good."""
    return answer.status == 400 and answer.message == _NOTHING_TO_STORE
