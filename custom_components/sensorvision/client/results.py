"""What became of the samples of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Iterable, Sequence, overload

from . import protocol
from .exceptions import (
    AnswerError,
    CapabilityError,
    NetworkError,
    SensorVisionError,
    ValidationError,
    error_of,
)
from .protocol import Answer

if TYPE_CHECKING:
    from .models import Sample


@dataclass(frozen=True)
class SampleResult:
    """What became of one sample.

    Attributes:
        sample: the sample.
        kind: the class of answer, on which alone a sender acts, as `Answer.kind`.
        message: what the server said, or what can be said in its place.
        status: HTTP status, or 0 if no answer came.
        suspect: whether a `TRY_LATER` may be the sample's fault after all.
        retry_after_s: seconds that the server asks to wait, or None.
        id: the sample's own, or its place in the batch as text, counted from 0.
        error: why it was not delivered, or None if it was.
        is_not_sent: whether it was left out because of `error`, which is another's or
            that of all: the batch was stopped, or its time was over.
        may_have_arrived: whether the server may have stored it although it did not say
            so; sent again, it may be there twice.
    """

    sample: Sample
    kind: str
    message: str
    status: int
    suspect: bool = False
    retry_after_s: int | None = None
    id: str = ""
    error: SensorVisionError | None = field(default=None, compare=False)
    is_not_sent: bool = False
    may_have_arrived: bool = False

    @property
    def is_delivered(self) -> bool:
        """Whether the server has stored it."""
        return self.kind == protocol.DELIVERED

    @property
    def answer(self) -> Answer:
        """The server's answer to this sample, as if it had been sent by itself."""
        return Answer(
            self.kind,
            self.status,
            self.message,
            retry_after_s=self.retry_after_s,
            suspect=self.suspect,
        )


class BatchResult(Sequence[SampleResult]):
    """What became of each sample of a batch, in their order.

    Each is one of three: delivered, failed, or not sent.
    """

    def __init__(self, results: Iterable[SampleResult]) -> None:
        self._results = tuple(results)
        self._by_id = {result.id: result for result in self._results}

    def __repr__(self) -> str:
        """Show the counts alone: there may be thousands."""
        return (
            f"<{type(self).__name__} delivered={self.delivered}"
            f" failed={self.failed} not_sent={self.not_sent}>"
        )

    def __len__(self) -> int:
        """Return how many samples there were."""
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> SampleResult: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[SampleResult]: ...

    def __getitem__(self, index: int | slice) -> SampleResult | Sequence[SampleResult]:
        """Return the result of a sample by its place, or those of several."""
        return self._results[index]

    @property
    def delivered(self) -> int:
        """How many samples the server has stored."""
        return sum(result.is_delivered for result in self._results)

    @property
    def failed(self) -> int:
        """How many samples can't be sent, or did not get a yes."""
        return len(self.failures)

    @property
    def not_sent(self) -> int:
        """How many samples were left out, because the batch came to an end before them."""
        return sum(result.is_not_sent for result in self._results)

    @property
    def is_complete(self) -> bool:
        """Whether the server has stored all of them."""
        return all(result.is_delivered for result in self._results)

    @property
    def failures(self) -> list[SampleResult]:
        """The results of those that failed, each with its `error`."""
        return [
            result
            for result in self._results
            if not result.is_delivered and not result.is_not_sent
        ]

    def by_id(self, sample_id: str) -> SampleResult:
        """Return the result of a sample by its id.

        Args:
            sample_id: what was given as `Sample.id`, or else its place as text.

        Raises:
            KeyError: no sample has this id.
        """
        return self._by_id[sample_id]


def result_of(sample: Sample, answer: Answer, sample_id: str = "") -> SampleResult:
    """Say of one sample what an answer says."""
    error = error_of(answer)
    return SampleResult(
        sample,
        answer.kind,
        answer.message,
        answer.status,
        answer.suspect,
        answer.retry_after_s,
        sample_id,
        error,
        may_have_arrived=error is not None and error.may_have_arrived,
    )


def failure_of(
    sample: Sample,
    error: SensorVisionError,
    sample_id: str,
    *,
    is_not_sent: bool = False,
) -> SampleResult:
    """Say of one sample that an error kept it from being delivered.

    Args:
        sample: the sample.
        error: its own, or that for which it was left out.
        sample_id: the sample's id.
        is_not_sent: whether it was left out.
    """
    kind = _kind_of(error, is_not_sent=is_not_sent)
    may_have_arrived = (
        isinstance(error, (AnswerError, NetworkError)) and error.may_have_arrived
    )
    answer = (
        error.answer
        if isinstance(error, AnswerError)
        else Answer(kind, 0, str(error), is_json=False)
    )
    return SampleResult(
        sample,
        kind,
        answer.message,
        answer.status,
        answer.suspect and not is_not_sent,
        answer.retry_after_s,
        sample_id,
        error,
        is_not_sent,
        may_have_arrived and not is_not_sent,
    )


def _kind_of(error: SensorVisionError, *, is_not_sent: bool) -> str:
    """Return the class of answer that an error stands for."""
    if isinstance(error, AnswerError) and error.answer.kind != protocol.WRONG_PAYLOAD:
        return error.answer.kind
    if is_not_sent:
        # It is the other sample that was wrong.
        return protocol.TRY_LATER
    if isinstance(error, ValidationError) and error.field.endswith(".device_id"):
        return protocol.WRONG_DEVICE
    if isinstance(error, (AnswerError, CapabilityError, ValidationError)):
        return protocol.WRONG_PAYLOAD
    return protocol.TRY_LATER
