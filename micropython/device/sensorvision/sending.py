"""Send over HTTP, and choose and share what all ways have: when to try again, what to say."""

import random

from micropython import const

from .clock import is_set, set_from_date
from .connection import Unreachable
from .protocol import DELIVERED, TRY_LATER, WRONG_PAYLOAD, ValidationError, ingest_request

_FIRST_WAIT_MS = const(1000)
_LONGEST_WAIT_MS = const(300000)
_SUSPECT_TRIES = const(3)


def make(settings: dict, ca: bytes | None) -> tuple:
    """Return a client for the URL in the settings and the class of what sends over it.

    Args:
        settings: complete, as `settings.load` returns them.
        ca: see `Connection`.

    Raises:
        ValueError: the certificate is none.
    """
    if settings["url"][0] == "m":
        from machine import unique_id

        from .mqtt import MqttClient, Publishing

        return MqttClient(settings, ca, unique_id().hex()), Publishing
    from .http import HttpClient

    return HttpClient(settings["url"], ca, settings["timeout_s"]), Delivery


class Sender:
    """Sends what waits in an outbox, and waits longer after each failure.

    Args:
        settings: the board's settings.
        outbox: where the readings are.
        client: what talks to the server.
        link: what keeps the board in its network and its clock right.

    Attributes:
        why: why something was not delivered, last time.
    """

    why = "it was dropped"
    _wait_ms = _FIRST_WAIT_MS

    def __init__(self, settings: dict, outbox, client, link):
        self.settings = settings
        self.outbox = outbox
        self.client = client
        self.link = link

    async def send(self) -> int:
        """Send what waits, or some of it.

        Returns:
            Milliseconds to wait before the next call, 0 after a success.
        """
        try:
            return await self._send()
        except Unreachable as err:
            self.link.distrust()
            return self._later(err)

    async def _reach(self, clock):
        await self.link.up(clock)
        if is_set():
            self.outbox.clock_was_set()

    def _delivered(self, variables):
        self.link.trust()
        if self._wait_ms > _FIRST_WAIT_MS:
            self._wait_ms = _FIRST_WAIT_MS
            print("the server answers again; superseded:", self.outbox.superseded)
        # Piece by piece: where memory is short, all of them make no text.
        start = "delivered "
        for name, value in variables.items():
            print(f"{start}{name}={value}", end="")
            start = ", "
        print()

    def _refused(self, why):
        self.why = why
        print("refused:", why)
        # Only a person can help here, who may do so on the server without touching the board.
        return _LONGEST_WAIT_MS

    def _later(self, why, retry_after_s=None):
        self.why = why
        # Boards that lost the server together must not come back together.
        wait_ms = max(
            1 + random.randrange(self._wait_ms),  # noqa: S311  nobody gains by guessing it
            min((retry_after_s or 0) * 1000, _LONGEST_WAIT_MS),
        )
        self._wait_ms = min(2 * self._wait_ms, _LONGEST_WAIT_MS)
        print(f"not delivered: {why}; next try in {(wait_ms + 999) // 1000} s")
        return wait_ms


class Delivery(Sender):
    """Brings what is true now to the server over HTTP, and acts on what it answers.

    Sends one request after another: all that waits, or singly while a culprit is sought.
    """

    _suspicions = 0
    _limit = None

    async def _send(self):
        batch = self.outbox.newest(self._limit)
        if not batch:
            self._limit = None
            return 0
        variables = {}
        for name in batch:
            variables[name] = batch[name][0]
        try:
            request = ingest_request(self.settings["device_id"], self.settings["token"], variables)
        except ValidationError as err:
            return self._drop(batch, err)
        # Certificates are only valid between two dates.
        await self._reach(bool(self.settings["ca_file"]))
        answer = await self.client.send(request)
        if not is_set():
            # For a board whose network has no time server.
            set_from_date(self.client.get("date") or "")
        kind = answer.kind
        if kind == DELIVERED:
            self._suspicions = 0
            self.outbox.remove(batch)
            self._delivered(variables)
            return 0
        said = f"the server said {answer.message} ({answer.status})"
        if kind == TRY_LATER:
            self._suspicions = self._suspicions + 1 if answer.suspect else 0
            if self._suspicions < _SUSPECT_TRIES:
                return self._later(said, answer.retry_after_s)
            self._suspicions = 0
        elif kind != WRONG_PAYLOAD:
            return self._refused(said + ". Check url, device_id and token in the settings")
        return self._drop(batch, answer.message)

    def _drop(self, batch, why):
        if len(batch) > 1:
            self._limit = 1
        else:
            self.outbox.remove(batch)
            print("dropped", *batch, "because", why)
        return 0
