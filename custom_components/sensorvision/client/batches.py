"""Send many readings, with the times at which they were true if a user does."""

from __future__ import annotations

from abc import abstractmethod
import datetime as dt
from functools import partial
from typing import Iterable, Mapping

from .batch_items import SampleLike, items_of
from .batch_run import BatchRun
from .bulk_posts import BulkPosts, item_of, no_times
from .deadline import deadline
from .exceptions import (
    AnswerError,
    PayloadError,
    PermissionDeniedError,
    SensorVisionError,
    ValidationError,
    error_of,
)
from .results import BatchResult

MAX_BULK_SAMPLES = 100


class Batches(BulkPosts):
    """Send many samples, whatever the credential."""

    @abstractmethod
    async def send_data(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
    ) -> None:
        """Store numbers of one device, trying again what may succeed later."""

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
                    [item_of(run.sample(index)) for index in chunk]
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
                run.reject(index, no_times())
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


def _check_options(max_concurrency: object, timeout: float | None) -> None:
    if not isinstance(max_concurrency, int) or not 1 <= max_concurrency <= 64:
        raise ValidationError(
            "max_concurrency", max_concurrency, "is out of range", "Take 1 to 64"
        )
    if timeout is not None and not timeout > 0:
        raise ValidationError(
            "timeout", timeout, "is no time", "Give seconds above 0, or None"
        )


def _is_of_one_sample(err: SensorVisionError) -> bool:
    """Tell whether an error says nothing of other samples."""
    is_suspect = isinstance(err, AnswerError) and err.answer.suspect
    return is_suspect or isinstance(err, (PayloadError, ValidationError))
