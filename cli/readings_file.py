"""Read a file of readings, line by line, and know where in it each one ends."""

from __future__ import annotations

import csv
from dataclasses import dataclass
import datetime as dt
import json
import os
import re
from typing import Any, BinaryIO, Iterator, Mapping

from sensorvision import ValidationError
from sensorvision.user_protocol import bulk_item

from .exits import Exit
from .failures import CommandError
from .moments import read_moment

_DEVICE = ("device", "device_id")
_TIME = ("timestamp", "time")
_LONG = {"variable", "value"}

_WHOLE = re.compile(r"[+-]?\d+")
# What stands for bytes that are not UTF-8.
_NO_TEXT = "\ufffd"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Place:
    """Where in a file reading has got to.

    Attributes:
        offset: bytes before it.
        line: lines before it.
    """

    offset: int = 0
    line: int = 0


@dataclass(frozen=True)
class Row:
    """What one line, or record of several lines, says of one device at one time."""

    device_id: str
    variables: Mapping[str, int | float]
    timestamp: dt.datetime
    line: int
    end: Place


@dataclass(frozen=True)
class BadLine:
    """A line, or a part of one, that holds no reading.

    Attributes:
        line: its number, counted from 1.
        problem: what is wrong with it, and what to do.
        end: where in the file it ends.
    """

    line: int
    problem: str
    end: Place


class ReadingsFile:
    """A file of readings: CSV in its long or wide form, or JSON lines.

    Args:
        file: opened to read bytes; at its beginning.
        name: what errors call it.
        device_id: whose readings they are where the file does not say, or None.

    Attributes:
        first: where its first reading begins.
        size: how many bytes it has.

    Raises:
        CommandError: its head tells that it is none.
    """

    def __init__(self, file: BinaryIO, name: str, device_id: str | None) -> None:
        self._file = file
        self._name = name
        self._device_id = device_id
        self._place = Place()
        self._header: list[str] = []
        start = file.read(len(_BOM))
        self._skipped = len(_BOM) if start == _BOM else 0
        file.seek(self._skipped)
        first = file.readline()
        self.size = file.seek(0, os.SEEK_END)
        if first.lstrip().startswith(b"{"):
            self.first = Place(self._skipped, 0)
        else:
            self._delimiter = _delimiter(first)
            self._go_to(Place(self._skipped, 0))
            self._header = [name.strip() for name in next(self._records(), [])]
            self._check_header()
            self.first = self._place

    def rows(self, start: Place) -> Iterator[Row | BadLine]:
        """Yield what stands in the file, from a place on that another row has ended at."""
        self._go_to(start)
        return self._csv_rows() if self._header else self._json_rows()

    def _go_to(self, place: Place) -> None:
        self._file.seek(place.offset)
        self._place = place

    def _lines(self) -> Iterator[str]:
        """Yield lines as text, and keep count of how far they reach."""
        # Not by iteration, which reads ahead of what has been handed out.
        for raw in iter(self._file.readline, b""):
            self._place = Place(self._place.offset + len(raw), self._place.line + 1)
            yield raw.decode("utf-8", errors="replace")

    def _records(self) -> Iterator[list[str]]:
        return csv.reader(self._lines(), delimiter=self._delimiter, strict=True)

    def _check_header(self) -> None:
        """See that the first line names what is needed.

        Raises:
            CommandError: it does not.
        """
        names = set(self._header)
        problem = ""
        remedy = (
            "Begin with device,variable,value,timestamp, or with timestamp,device and"
            " a column for each variable; without a column device, give --device"
        )
        if _NO_TEXT in "".join(names):
            problem, remedy = "is not in UTF-8", "Save the file as UTF-8"
        elif len(names) < len(self._header):
            problem = "names a column twice"
        elif not names.intersection(_TIME):
            problem = "has no column timestamp"
        elif not names.intersection(_DEVICE) and not self._device_id:
            problem = "has no column device"
        elif not names >= _LONG and len(_values_in(self._header)) == 0:
            problem = "has no column of values"
        if problem:
            problem = f"The first line of {self._name} {problem}"
            raise CommandError("file", problem, remedy, Exit.DATA)

    def _csv_rows(self) -> Iterator[Row | BadLine]:
        records = self._records()
        while True:
            start = self._place
            line = start.line + 1
            problem = ""
            try:
                record = next(records, None)
            except csv.Error as err:
                record, problem = [], f"{err}. Mend its quotes"
            if record is None:
                return
            if not problem and not any(cell.strip() for cell in record):
                continue
            wanted, found = len(self._header), len(record)
            if not problem and wanted != found:
                problem = f"{found} cells in place of {wanted}. Mend its commas"
            if problem:
                # A stray quote may have taken good lines along, up to the file's end.
                self._go_to(start)
                next(self._lines())
                yield BadLine(line, problem, self._place)
                records = self._records()
                continue
            cells = dict(zip(self._header, record))
            if set(cells) >= _LONG:
                values = {cells["variable"].strip(): cells["value"]}
            else:
                values = {
                    name: cells[name]
                    for name in _values_in(self._header)
                    if cells[name].strip()
                }
            yield from self._told(line, cells, values)

    def _json_rows(self) -> Iterator[Row | BadLine]:
        for text in self._lines():
            line = self._place.line
            if not text.strip():
                continue
            try:
                item = json.loads(text)
            except (ValueError, RecursionError):
                yield BadLine(line, "is not JSON. Write one object a line", self._place)
                continue
            if not isinstance(item, dict):
                yield BadLine(line, "is no object. Write it in braces", self._place)
                continue
            values = item.get("variables")
            if "variable" in item:
                values = {str(item["variable"]): item.get("value")}
            if not isinstance(values, dict):
                problem = 'has no values. Write "variables": {"temperature": 21.5}'
                yield BadLine(line, problem, self._place)
                continue
            yield from self._told(line, item, values)

    def _told(
        self, line: int, fields: Mapping[str, Any], values: Mapping[str, Any]
    ) -> Iterator[Row | BadLine]:
        """Yield what can be sent of a line, and what can't."""
        device_id = str(_first(fields, _DEVICE) or self._device_id or "").strip()
        good: dict[str, int | float] = {}
        try:
            moment = read_moment(str(_first(fields, _TIME) or ""))
        except ValueError as err:
            yield BadLine(line, str(err), self._place)
            return
        for name, value in values.items():
            number, problem = _checked(device_id, name, value)
            if problem:
                yield BadLine(line, problem, self._place)
            else:
                good[name] = number
        if good:
            yield Row(device_id, good, moment, line, self._place)


def _delimiter(first: bytes) -> str:
    """Return what parts the cells of a header."""
    return max(",;\t", key=lambda mark: first.count(mark.encode()))


def _values_in(header: list[str]) -> list[str]:
    """Return the columns of the wide form that are variables."""
    return [name for name in header if name and name not in (*_DEVICE, *_TIME)]


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401
    return next((fields[name] for name in names if name in fields), None)


def _checked(device_id: str, name: str, value: object) -> tuple[int | float, str]:
    """Return a number that can be sent, or what is wrong with it."""
    if _NO_TEXT in f"{device_id}{name}":
        return 0, f"{device_id} {name} is not in UTF-8. Save the file as UTF-8"
    try:
        number = _number(name, value)
        bulk_item(device_id, {name: number}, None)
    except (ValueError, ValidationError) as err:
        return 0, str(err).rstrip(".")
    return number, ""


def _number(name: str, value: object) -> int | float:
    """Return a cell's number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        return int(text) if _WHOLE.fullmatch(text) else float(text)
    except ValueError:
        raise ValueError(
            f"{name} {value!r} is not a number. Write it like 21.5"
        ) from None
