"""Send many readings with the times at which they were true."""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, Sequence

from . import protocol, user_protocol
from .exceptions import AnswerError, NetworkError, NotSensorVisionError, raise_for
from .management import Management
from .models import Sample, SampleResult, format_instant, result_of
from .protocol import Answer

MAX_BULK_SAMPLES = 100
DEVICES_LIFETIME_S = 600


class Batches(Management):
    """Send in bulk, and only to devices of the user's organisation.

    The server's bulk endpoint does not look whose a device is, and puts one that it does
    not know into an organisation that the user can't see. So the client looks.
    """

    _clock: Callable[[], float]
    _details_of_new: Callable[[str], Mapping[str, str]]

    def __init__(self) -> None:
        self._own_devices: set[str] = set()
        self._refused_devices: dict[str, Answer] = {}
        self._devices_until = float("-inf")

    def forget_devices(self) -> None:
        """Look up anew, before the next samples are sent, whose the devices are."""
        self._devices_until = float("-inf")

    async def send_batch(self, samples: Iterable[Sample]) -> list[SampleResult]:
        """Store samples with their own times, each by itself, and say what became of each.

        They go in requests of at most 100, in their order, each sent once. Once a request
        fails as a whole, those behind it are not sent and share its answer. Devices that
        the server does not know are registered first; which ones are the user's is looked
        up and held for true for ten minutes.

        The server keeps no record of requests: what was answered by no answer may be
        stored twice if it is sent again.

        Returns:
            One result for each sample, in their order. Samples of another organisation's
            device are refused as `protocol.WRONG_DEVICE`.

        Raises:
            ValidationError: a sample can't be sent; none was.
            CapabilityError: the credential is a device token.
        """
        batch = list(samples)
        items = [_item(sample) for sample in batch]
        answers: list[Answer | None] = [None] * len(batch)
        failure = await self._register_all(batch, answers)
        due = [index for index, answer in enumerate(answers) if answer is None]
        for start in range(0, len(due), MAX_BULK_SAMPLES):
            chunk = due[start : start + MAX_BULK_SAMPLES]
            if failure is None:
                outcomes, failure = await self._send_chunk(
                    [items[index] for index in chunk]
                )
            else:
                outcomes = [failure] * len(chunk)
            for index, outcome in zip(chunk, outcomes):
                answers[index] = outcome
        return [
            result_of(sample, answer)
            for sample, answer in zip(batch, answers)
            if answer is not None
        ]

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
        refused: dict[str, Answer] = {}
        for device_id in dict.fromkeys(sample.device_id for sample in samples):
            try:
                refusal = await self._register(device_id)
            except NetworkError as err:
                # No sample was on its way yet.
                err.may_have_arrived = False
                raise
            if refusal is not None:
                refused[device_id] = refusal
        due = [
            item
            for sample, item in zip(samples, items)
            if sample.device_id not in refused
        ]
        answers: list[Answer] = []
        if due:
            reply = await self._ask(user_protocol.bulk_request(due))
            outcomes = user_protocol.read_bulk(reply, len(due))
            if outcomes is None:
                raise_for(reply.answer)
                raise NotSensorVisionError(user_protocol.no_answer(reply.answer.status))
            answers = outcomes
        each = iter(answers)
        return [
            result_of(sample, refused.get(sample.device_id) or next(each))
            for sample in samples
        ]

    async def _send_chunk(
        self, items: list[dict[str, object]]
    ) -> tuple[list[Answer], Answer | None]:
        """Send samples; return the answer to each, and that to all if it was a no."""
        try:
            reply = await self._ask(user_protocol.bulk_request(items))
        except NetworkError as err:
            answer = _no_answer(err)
        except AnswerError as err:
            answer = err.answer
        else:
            outcomes = user_protocol.read_bulk(reply, len(items))
            if outcomes is not None:
                return outcomes, None
            answer = reply.answer
            if answer.kind == protocol.DELIVERED:
                answer = user_protocol.no_answer(answer.status)
        return [answer] * len(items), answer

    async def _register_all(
        self, batch: list[Sample], answers: list[Answer | None]
    ) -> Answer | None:
        """See that every device is there and the user's; return what stops everything."""
        refused: dict[str, Answer] = {}
        for device_id in dict.fromkeys(sample.device_id for sample in batch):
            try:
                refusal = await self._register(device_id)
            except NetworkError as err:
                return _no_answer(err)
            except AnswerError as err:
                return err.answer
            if refusal is not None:
                refused[device_id] = refusal
        for index, sample in enumerate(batch):
            answers[index] = refused.get(sample.device_id)
        return None

    async def _register(self, device_id: str) -> Answer | None:
        """Make a device if there is none; return why the user can't write to it."""
        if self._clock() >= self._devices_until:
            devices = await self.devices()
            self._own_devices = {device.device_id for device in devices}
            self._refused_devices = {}
            self._devices_until = self._clock() + DEVICES_LIFETIME_S
        if (
            device_id not in self._own_devices
            and device_id not in self._refused_devices
        ):
            try:
                await self.register_device(device_id, **self._details_of_new(device_id))
            except AnswerError as err:
                # Anything else speaks for the server, not for this device.
                if err.status not in (400, 403) or not err.answer.is_json:
                    raise
                self._refused_devices[device_id] = user_protocol.refused_device(
                    err.answer
                )
            else:
                self._own_devices.add(device_id)
        return self._refused_devices.get(device_id)


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


def _no_answer(err: NetworkError) -> Answer:
    return Answer(protocol.TRY_LATER, 0, str(err), is_json=False)
