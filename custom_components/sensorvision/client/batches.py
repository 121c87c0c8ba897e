"""Send many readings, with the times at which they were true if a user does."""

from __future__ import annotations

from abc import abstractmethod
import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, Sequence

from . import user_protocol
from .batch_items import SampleLike, items_of
from .batch_run import BatchRun
from .deadline import deadline
from .exceptions import (
    AnswerError,
    CapabilityError,
    NetworkError,
    NotSensorVisionError,
    PayloadError,
    PermissionDeniedError,
    SensorVisionError,
    ValidationError,
    error_of,
    raise_for,
)
from .models import Sample, format_instant
from .protocol import Answer
from .reading_back import ReadingBack
from .results import BatchResult, SampleResult, result_of

if TYPE_CHECKING:
    from .runtime import Runtime

MAX_BULK_SAMPLES = 100


class Batches(ReadingBack):
    """Send many at once, and in a user's name only to devices of the own organisation.

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

    @abstractmethod
    async def send_data(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
    ) -> None:
        """Store numbers of one device, trying again what may succeed later."""

    def forget_devices(self) -> None:
        """Look up anew, before the next samples are sent, whose the devices are."""
        self._known_devices.forget()

    async def send_batch(
        self,
        samples: Iterable[SampleLike],
        *,
        max_concurrency: int = 4,
        stop_on_first_error: bool = False,
        timeout: float | None = None,
    ) -> BatchResult:
        """Store many samples, each by itself, and say what became of each.

        With a device token each goes in a post of its own, several at once but those of
        one device one after the other; what may succeed later is tried again as by
        `send_data`. With a user key or an account they go in requests of at most 100, in
        their order, each sent once; devices that the server does not know are registered
        first, and which ones are the user's is looked up and held for true for
        `cache_lifetime_s`.

        A sample that can't be sent, such as one with a time under a device token, fails
        alone. Once the server is not reached, or refuses the credential, those that were
        not on their way yet are not sent.

        The server keeps no record of requests: what may have arrived although no yes
        came is marked so, and may be stored twice if it is sent again.

        Args:
            samples: each a `Sample`, or a mapping with `device_id`, `variables` and, if
                need be, `timestamp` (an aware datetime, or ISO 8601 with a zone) and `id`.
            max_concurrency: how many posts are on their way at once, at the most; 1 to
                64. The server bears 2 to 4 well. Requests of a user go one by one.
            stop_on_first_error: whether to send no more once one has failed. Those that
                are on their way with it or beside it come to their end.
            timeout: seconds after which no more is sent and nothing waited for, or None.

        Returns:
            One result for each sample, in their order. Samples of another organisation's
            device are refused as `protocol.WRONG_DEVICE`.

        Raises:
            ValidationError: two samples have the same id, or an option can't be one.
        """
        _check_options(max_concurrency, timeout)
        run = BatchRun(items_of(samples), stop_on_first_error=stop_on_first_error)
        with deadline(timeout):
            if run.due:
                try:
                    is_user = await self._is_user()
                except SensorVisionError as err:
                    run.stop(err)
                else:
                    if is_user:
                        await self._send_in_bulk(run)
                    else:
                        await self._send_singly(run, max_concurrency)
            return run.result()

    async def post_batch(self, samples: Sequence[Sample]) -> list[SampleResult]:
        """Send samples in one request, for callers that act on its failure as a whole.

        As with `send_batch`, devices are looked up and registered first.

        Returns:
            One result for each sample, in their order.

        Raises:
            ValidationError: a sample can't be sent; none was.
            CapabilityError: the credential is a device token.
            AnswerError: the server said no to all of it.
            NetworkError: no answer came.
        """
        items = [_item(sample) for sample in samples]
        try:
            refused = await self._register_all(sample.device_id for sample in samples)
        except NetworkError as err:
            # No sample was on its way yet.
            err.may_have_arrived = False
            raise
        due = [
            item
            for sample, item in zip(samples, items)
            if sample.device_id not in refused
        ]
        each = iter(await self._post_items(due) if due else ())
        return [
            result_of(sample, refused.get(sample.device_id) or next(each))
            for sample in samples
        ]

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
        sample = Sample(device_id, variables, timestamp)
        _item(sample)
        if not await self._is_user():
            raise _no_times()
        (result,) = await self.post_batch([sample])
        raise_for(result.answer)

    async def _post_items(self, items: list[dict[str, object]]) -> list[Answer]:
        """Send samples in one request, and return what the server says of each.

        Raises:
            AnswerError: the server said no to all of it.
            NetworkError: no answer came.
        """
        reply = await self._ask(user_protocol.bulk_request(items))
        answers = user_protocol.read_bulk(reply, len(items))
        if answers is not None:
            return answers
        raise_for(reply.answer)
        raise NotSensorVisionError(user_protocol.no_answer(reply.answer.status))

    async def _send_in_bulk(self, run: BatchRun) -> None:
        """Send what is due of a batch in the user's name."""
        due = run.due
        try:
            refused = await self._register_all(
                run.sample(index).device_id for index in due
            )
        except SensorVisionError as err:
            run.stop(err)
            return
        for index in due:
            refusal = refused.get(run.sample(index).device_id)
            error = refusal and error_of(refusal)
            if error:
                run.reject(index, error)
        due = run.due
        for start in range(0, len(due), MAX_BULK_SAMPLES):
            chunk = due[start : start + MAX_BULK_SAMPLES]
            if run.is_stopped:
                return
            try:
                answers = await self._post_items(
                    [_item(run.sample(index)) for index in chunk]
                )
            except SensorVisionError as err:
                for index in chunk:
                    run.failed(index, err)
                run.stop(err)
            else:
                for index, answer in zip(chunk, answers):
                    run.answered(index, answer)

    async def _send_singly(self, run: BatchRun, max_concurrency: int) -> None:
        """Send what is due of a batch with a device token."""
        for index in run.due:
            if run.sample(index).timestamp is not None:
                run.reject(index, _no_times())
        queues: dict[str, list[int]] = {}
        for index in run.due:
            queues.setdefault(run.sample(index).device_id, []).append(index)
        await self._runtime.gather(
            [partial(self._send_queue, run, queue) for queue in queues.values()],
            limit=max_concurrency,
        )

    async def _send_queue(self, run: BatchRun, queue: list[int]) -> None:
        """Send the samples of one device, one after the other."""
        refusal: PermissionDeniedError | None = None
        for index in queue:
            if run.is_stopped:
                return
            sample = run.sample(index)
            if refusal is not None:
                run.failed(index, refusal)
                continue
            try:
                await self.send_data(sample.device_id, sample.variables)
            except PermissionDeniedError as err:
                refusal = err
                run.failed(index, err)
            except SensorVisionError as err:
                run.failed(index, err)
                if not _is_of_one_sample(err):
                    run.stop(err)
            else:
                run.delivered(index)

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


def _check_options(max_concurrency: object, timeout: float | None) -> None:
    if not isinstance(max_concurrency, int) or not 1 <= max_concurrency <= 64:
        raise ValidationError(
            "max_concurrency", max_concurrency, "is out of range", "Take 1 to 64"
        )
    if timeout is not None and not timeout > 0:
        raise ValidationError(
            "timeout", timeout, "is no time", "Give seconds above 0, or None"
        )


def _no_times() -> CapabilityError:
    return CapabilityError(
        "A device token sends only what is true now",
        "Leave the timestamp out, or use a user key, or user name and password",
    )


def _is_of_one_sample(err: SensorVisionError) -> bool:
    """Tell whether an error says nothing of other samples."""
    is_suspect = isinstance(err, AnswerError) and err.answer.suspect
    return is_suspect or isinstance(err, (PayloadError, ValidationError))


def _item(sample: Sample) -> dict[str, object]:
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
