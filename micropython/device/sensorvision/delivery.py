"""Bring what is true now to the server over HTTP, and act on what it answers."""

from micropython import const

from .clock import set_from_date
from .protocol import DELIVERED, TRY_LATER, WRONG_PAYLOAD, ValidationError, ingest_request
from .sending import Sender

_SUSPECT_TRIES = const(3)


class Delivery(Sender):
    """Sends one request after another: all that waits, or singly while a culprit is sought."""

    _suspicions = 0
    _limit = None

    async def _send(self):
        batch = self._outbox.newest(self._limit)
        if not batch:
            self._limit = None
            return 0
        variables = {name: batch[name][0] for name in batch}
        try:
            request = ingest_request(
                self._settings["device_id"], self._settings["token"], variables
            )
        except ValidationError as err:
            return self._drop(batch, err)
        # Certificates are only valid between two dates.
        await self._reach(bool(self._settings["ca_file"]))
        answer = await self._client.send(request)
        # For a board whose network has no time server.
        set_from_date(self._client.date or "")
        kind = answer.kind
        if kind == DELIVERED:
            self._suspicions = 0
            self._outbox.remove(batch)
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
            self._outbox.remove(batch)
            print("dropped", *batch, "because", why)
        return 0
