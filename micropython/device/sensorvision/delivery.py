"""Bring what waits in the outbox to the server, and act on what it answers."""

import random

from micropython import const

from .clock import is_set, set_clock
from .connection import Unreachable
from .protocol import (
    DELIVERED,
    SIGN_IN,
    TRY_LATER,
    WRONG_DEVICE,
    ValidationError,
    ingest_request,
)

_FIRST_WAIT_MS = const(1000)
_LONGEST_WAIT_MS = const(300000)
# Only a person can help here, who may do so on the server without touching the board.
_REFUSED_WAIT_MS = const(300000)
_FAILURES_BEFORE_BOUNCE = const(3)
_SUSPECT_TRIES = const(3)

_REMEDIES = {
    SIGN_IN: "Put the device's token into the settings again",
    WRONG_DEVICE: "Check url and device_id in the settings",
}


class Delivery:
    """Sends one request after another, and waits longer after each failure.

    Args:
        settings: the board's settings.
        outbox: where the readings are.
        client: what exchanges requests and answers with the server.
        wifi: what keeps the radio connected, or None for a board with a cable.
    """

    def __init__(self, settings, outbox, client, wifi):
        self._device_id = settings["device_id"]
        self._token = settings["token"]
        self._outbox = outbox
        self._client = client
        self._wifi = wifi
        self._needs_clock = bool(settings["ca_file"])
        self._failures = 0
        self._suspicions = 0
        self._batch_limit = None

    async def send(self) -> int:
        """Send what waits, all at once or singly while a culprit is sought.

        Returns:
            Milliseconds to wait before the next call, 0 after a success.
        """
        batch = self._outbox.newest(self._batch_limit)
        if not batch:
            self._batch_limit = None
            return 0
        try:
            request = ingest_request(
                self._device_id, self._token, {name: batch[name][0] for name in batch}
            )
        except ValidationError as err:
            return self._refused(batch, err)
        try:
            if self._wifi:
                await self._wifi.connect()
            if self._needs_clock and not (is_set() or await set_clock()):
                return self._later("the clock can't be set, and certificates need it")
            answer = await self._client.send(request)
        except Unreachable as err:
            if self._wifi and self._failures % _FAILURES_BEFORE_BOUNCE == 2:
                # Some radios believe to be connected long after the network has gone.
                self._wifi.leave()
            return self._later(err)
        return self._act(batch, answer)

    def _act(self, batch, answer):
        kind = answer.kind
        if kind == DELIVERED:
            if self._failures:
                print("the server answers again; superseded:", self._outbox.superseded)
            self._failures = self._suspicions = 0
            self._outbox.remove(batch)
            print("delivered", ", ".join(f"{name}={batch[name][0]}" for name in batch))
            return 0
        if kind == TRY_LATER:
            self._suspicions = self._suspicions + 1 if answer.suspect else 0
            if self._suspicions < _SUSPECT_TRIES:
                return self._later(_said(answer), answer.retry_after_s)
            self._suspicions = 0
        elif kind in _REMEDIES:
            print(f"refused: {_said(answer)}. {_REMEDIES[kind]}")
            return _REFUSED_WAIT_MS
        return self._refused(batch, answer.message)

    def _refused(self, batch, why):
        if len(batch) > 1:
            self._batch_limit = 1
        else:
            self._outbox.remove(batch)
            print("dropped", ", ".join(batch), "because", why)
        return 0

    def _later(self, why, retry_after_s=None):
        wait_ms = min(_FIRST_WAIT_MS << min(self._failures, 10), _LONGEST_WAIT_MS)
        self._failures += 1
        # Boards that lost the server together must not come back together.
        wait_ms = wait_ms // 2 + random.getrandbits(16) * (wait_ms // 2) // 65536
        if retry_after_s:
            wait_ms = max(wait_ms, min(retry_after_s * 1000, _LONGEST_WAIT_MS))
        print(f"not delivered: {why}; next try in {(wait_ms + 999) // 1000} s")
        return wait_ms


def _said(answer):
    return f"the server said {answer.message} ({answer.status})"
