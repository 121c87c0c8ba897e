"""Keep account of one batch while it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from . import protocol
from .deadline import remaining_s
from .exceptions import RequestTimeoutError, SensorVisionError, error_of
from .protocol import Answer
from .results import BatchResult, SampleResult, failure_of, result_of

if TYPE_CHECKING:
    from .batch_items import Item
    from .models import Sample


class BatchRun:
    """What has become of each sample so far, and whether to go on.

    Several may tell at once, each of samples of its own.

    Args:
        items: the samples.
        stop_on_first_error: whether to send no more once one has failed.
    """

    def __init__(self, items: Sequence[Item], *, stop_on_first_error: bool) -> None:
        self._items = items
        self._stop_on_first_error = stop_on_first_error
        self._results: list[SampleResult | None] = [None] * len(items)
        self._end = len(items)
        self._is_stopped = False
        self._reason = SensorVisionError("Nothing was sent yet")
        for index, item in enumerate(items):
            if item.error is not None:
                self.reject(index, item.error)

    @property
    def due(self) -> list[int]:
        """The places of the samples that are to be sent."""
        return [
            index
            for index, result in enumerate(self._results[: self._end])
            if result is None and not self._is_stopped
        ]

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._is_stopped

    def sample(self, index: int) -> Sample:
        """Return a sample by its place."""
        return self._items[index].sample

    def reject(self, index: int, error: SensorVisionError) -> None:
        """Note what is known before anything is sent: this sample can't be.

        If the first error is to stop the batch, those before it are still sent.
        """
        self._fail(index, error)
        if self._stop_on_first_error and index < self._end:
            self._end, self._reason = index, error

    def answered(self, index: int, answer: Answer) -> None:
        """Note what the server has said of a sample."""
        item = self._items[index]
        self._results[index] = result_of(item.sample, answer, item.id)
        error = error_of(answer)
        if error is not None and self._stop_on_first_error:
            self.stop(error)

    def delivered(self, index: int) -> None:
        """Note that the server has stored a sample."""
        self.answered(index, Answer(protocol.DELIVERED, 200, ""))

    def failed(self, index: int, error: SensorVisionError) -> None:
        """Note why a sample was not delivered."""
        if _is_never_sent(error):
            self.stop(error)
            return
        self._fail(index, error)
        if self._stop_on_first_error:
            self.stop(error)

    def stop(self, error: SensorVisionError) -> None:
        """Send nothing more, because of an error; the first one counts."""
        if not self._is_stopped:
            self._is_stopped, self._reason = True, error

    def result(self) -> BatchResult:
        """Return what has become of each sample; what was not told of was not sent."""
        return BatchResult(
            failure_of(item.sample, self._reason, item.id, is_not_sent=True)
            if result is None
            else result
            for item, result in zip(self._items, self._results)
        )

    def _fail(self, index: int, error: SensorVisionError) -> None:
        item = self._items[index]
        self._results[index] = failure_of(item.sample, error, item.id)


def _is_never_sent(error: SensorVisionError) -> bool:
    """Tell whether the batch's time was over before the sample was on its way."""
    return (
        remaining_s() is not None
        and isinstance(error, RequestTimeoutError)
        and not error.may_have_arrived
    )
