"""Send many samples in a request, in the name of a user."""

from __future__ import annotations

from abc import abstractmethod
import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, Sequence

from . import user_protocol
from .exceptions import (
    AnswerError,
    CapabilityError,
    NetworkError,
    NotSensorVisionError,
    raise_for,
)
from .models import Sample, format_instant
from .moments import body_of
from .protocol import Answer
from .reading_back import ReadingBack

if TYPE_CHECKING:
    from .moments import Moment
    from .protocol import Request
    from .runtime import Runtime


class BulkPosts(ReadingBack):
    """Send in bulk, and only to devices of the user's organisation.

    The server's bulk endpoint does not look whose a device is, and puts one that it does
    not know into an organisation that the user can't see. So the client looks.
    """

    _details_of_new: Callable[[str], Mapping[str, str]]

    def __init__(
        self,
        runtime: Runtime,
        clock: Callable[[], float],
        cache_lifetime_s: float,
    ) -> None:
        super().__init__(runtime, clock, cache_lifetime_s)
        self._registering = runtime.semaphore(1)

    @abstractmethod
    async def _is_user(self) -> bool:
        """Tell whether the credential is a user's, and ask the server if need be."""

    def forget_devices(self) -> None:
        """Look up anew, before the next samples are sent, whose the devices are."""
        self._known_devices.forget()

    async def post_moments(self, moments: Sequence[Moment]) -> list[Answer]:
        """Send readings in one request, for callers that act on its failure as a whole.

        As with `send_batch`, devices are looked up and registered first.

        Args:
            moments: readings that belong together; each is a sample of its own.

        Returns:
            What the server says of each moment, in their order.

        Raises:
            ValidationError: a reading can't be sent; none was.
            CapabilityError: the credential is a device token.
            AnswerError: the server said no to all of it.
            NetworkError: no answer came.
        """
        body = body_of(moments)
        device_ids = [moment[0].reading.device_id for moment in moments]
        refused = await self._let_in(device_ids)
        if not refused:
            return await self._post_body(body, len(moments))
        due = [
            moment for moment in moments if moment[0].reading.device_id not in refused
        ]
        each = iter(await self._post_body(body_of(due), len(due)) if due else ())
        return [refused.get(device_id) or next(each) for device_id in device_ids]

    async def _let_in(self, device_ids: Iterable[str]) -> dict[str, Answer]:
        """See that devices are there before anything is sent; see `_register_all`."""
        try:
            return await self._register_all(device_ids)
        except NetworkError as err:
            # No reading was on its way yet.
            err.may_have_arrived = False
            raise

    async def _post_at(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime,
    ) -> None:
        """Send numbers that were true at a time, once.

        Raises:
            ValidationError: something can't be sent; nothing was.
            CapabilityError: the credential is a device token.
            AnswerError: the server said no.
            NetworkError: no answer came.
        """
        item = item_of(Sample(device_id, variables, timestamp))
        if not await self._is_user():
            raise no_times()
        refused = await self._let_in([device_id])
        raise_for(refused.get(device_id) or (await self._post_items([item]))[0])

    async def _post_items(self, items: list[dict[str, object]]) -> list[Answer]:
        """Send samples in one request; see `_exchange_bulk`."""
        return await self._exchange_bulk(user_protocol.bulk_request(items), len(items))

    async def _post_body(self, body: bytes, count: int) -> list[Answer]:
        """Send moments in one request; see `_exchange_bulk`."""
        return await self._exchange_bulk(user_protocol.bulk_request_of(body), count)

    async def _exchange_bulk(self, request: Request, count: int) -> list[Answer]:
        """Send a request of so many, and return what the server says of each.

        Raises:
            AnswerError: the server said no to all of it.
            NetworkError: no answer came.
        """
        reply = await self._ask(request, partial(user_protocol.read_bulk, count=count))
        if reply.data is not None:
            answers: list[Answer] = reply.data
            return answers
        raise_for(reply.answer)
        raise NotSensorVisionError(user_protocol.no_answer(reply.answer.status))

    async def _register_all(self, device_ids: Iterable[str]) -> dict[str, Answer]:
        """See that devices are there and the user's; return why others are not."""
        refused: dict[str, Answer] = {}
        async with self._registering:
            for device_id in dict.fromkeys(device_ids):
                refusal = await self._register(device_id)
                if refusal is not None:
                    refused[device_id] = refusal
        return refused

    async def _register(self, device_id: str) -> Answer | None:
        """Make a device if there is none; return why the user can't write to it."""
        known = self._known_devices
        if not known.are_listed:
            await self.devices()
        if not known.is_own(device_id) and known.refusal(device_id) is None:
            try:
                await self.register_device(device_id, **self._details_of_new(device_id))
            except AnswerError as err:
                # Anything else speaks for the server, not for this device.
                if err.status not in (400, 403) or not err.answer.is_json:
                    raise
                known.refused(device_id, user_protocol.refused_device(err.answer))
        return known.refusal(device_id)


def no_times() -> CapabilityError:
    """Return the error of a time that a device token was to send."""
    return CapabilityError(
        "A device token sends only what is true now",
        "Leave the timestamp out, or use a user key, or user name and password",
    )


def item_of(sample: Sample) -> dict[str, object]:
    """Return what is sent of a sample.

    Raises:
        ValidationError: it can't be sent.
    """
    moment = sample.timestamp
    return user_protocol.bulk_item(
        sample.device_id,
        sample.variables,
        None if moment is None else format_instant(moment),
    )
