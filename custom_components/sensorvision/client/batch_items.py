"""Take in what is given as samples, and say what is wrong with which."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
from typing import Any, Iterable, Mapping, Union

from . import protocol
from .models import Sample, format_instant, parse_instant
from .protocol import ValidationError

SampleLike = Union[Sample, Mapping[str, Any]]

_MEMBERS = ("device_id", "variables", "timestamp", "id")
_REMEDY = "Give device_id and variables, and if need be timestamp and id"


@dataclass(frozen=True)
class Item:
    """One sample of a batch.

    Attributes:
        id: its own, or its place as text.
        sample: what was given, as far as it could be read.
        error: why it can't be sent, or None.
    """

    id: str
    sample: Sample
    error: ValidationError | None


def items_of(samples: Iterable[SampleLike]) -> list[Item]:
    """Return what is given as samples, each with what is wrong with it.

    Raises:
        ValidationError: an id is no text, or that of another one: nobody could tell
            whose result is which.
    """
    items: list[Item] = []
    places: dict[str, int] = {}
    for index, given in enumerate(samples):
        where = f"samples[{index}]"
        sample, error = _read(given, where)
        sample_id = str(index) if sample.id is None else sample.id
        if not isinstance(sample_id, str) or not sample_id:
            raise ValidationError(
                f"{where}.id", sample_id, "is not a text", "Give a str, or leave it out"
            )
        if sample_id in places:
            raise ValidationError(
                f"{where}.id",
                sample_id,
                f"is that of samples[{places[sample_id]}], too",
                "Give each its own",
            )
        places[sample_id] = index
        items.append(Item(sample_id, sample, error))
    return items


def _read(given: object, where: str) -> tuple[Sample, ValidationError | None]:
    """Read one sample, and say what is wrong with it."""
    if isinstance(given, Sample):
        return given, _error_in(given, where)
    if not isinstance(given, Mapping):
        return Sample("", {}), ValidationError(
            where, given, "is neither a Sample nor a mapping", _REMEDY
        )
    timestamp, error = _time_in(given, where)
    sample = Sample(
        given.get("device_id", ""),
        given.get("variables", {}),
        timestamp,
        given.get("id"),
    )
    for name, value in given.items():
        if name not in _MEMBERS:
            error = ValidationError(f"{where}.{name}", value, "means nothing", _REMEDY)
    for name in ("variables", "device_id"):
        if name not in given:
            error = ValidationError(f"{where}.{name}", None, "is missing", _REMEDY)
    return sample, error or _error_in(sample, where)


def _time_in(
    given: Mapping[str, Any], where: str
) -> tuple[dt.datetime | None, ValidationError | None]:
    """Return the time of a sample, which may be written as ISO 8601 has it."""
    timestamp = given.get("timestamp")
    if not isinstance(timestamp, str):
        return timestamp, None
    try:
        return parse_instant(timestamp), None
    except ValueError:
        return None, ValidationError(
            f"{where}.timestamp",
            timestamp,
            "is not an instant with a zone",
            "Write it like 2026-01-02T12:00:00Z, or give an aware datetime",
        )


def _error_in(sample: Sample, where: str) -> ValidationError | None:
    """Return why a sample can't be sent, or None if it can."""
    try:
        protocol.check_device_id(sample.device_id)
    except ValidationError as err:
        return _placed(err, f"{where}.device_id")
    if not isinstance(sample.variables, Mapping):
        return ValidationError(
            f"{where}.variables",
            sample.variables,
            "are not a mapping",
            "Give numbers by the names of variables",
        )
    try:
        protocol.check_variables(dict(sample.variables))
    except ValidationError as err:
        is_number = err.field in sample.variables
        name = f".{err.field}" if is_number else ""
        return _placed(err, f"{where}.variables{name}")
    if sample.timestamp is not None:
        try:
            format_instant(sample.timestamp)
        except ValidationError as err:
            return _placed(err, f"{where}.timestamp")
    return None


def _placed(err: ValidationError, where: str) -> ValidationError:
    """Return an error with its field's place in the batch."""
    err.args = (where + str(err)[len(err.field) :],)
    err.field = where
    return err
