"""What the rows of the outbox's file mean, and whether they are what was written."""

from __future__ import annotations

import sqlite3
import struct
from typing import NamedTuple, Tuple, Union
from zlib import crc32

from .readings import Entry, Reading

# Id, address, value, time and checksum.
Row = Tuple[int, int, Union[int, float], float, int]

_pack = struct.Struct("<qdd").pack


class DeadLetter(NamedTuple):
    """A reading that the server does not want.

    Attributes:
        reading: the reading.
        reason: what the server said.
        set_aside_at: when that was, in seconds since 1970 (UTC).
    """

    reading: Reading
    reason: str
    set_aside_at: float


class Recalled(NamedTuple):
    """What became of readings that were set aside and are to be tried again.

    Attributes:
        waiting: how many wait again.
        superseded: how many are not true any more, and were let go of.
    """

    waiting: int
    superseded: int


class Address(NamedTuple):
    """Whose number a reading is, with the checksum of that."""

    device_id: str
    variable: str
    checksum: int


def decode(text: bytes) -> str:
    """Read a text of the file; if it is damaged, its checksum tells."""
    return text.decode(errors="replace")


def address_of(device_id: str, variable: str) -> Address:
    """Return an address with its checksum."""
    named = f"{device_id}\0{variable}".encode(errors="replace")
    return Address(device_id, variable, crc32(named))


def checksum_of(entry_id: int, address: Address, value: float, at: float) -> int:
    """Return what tells a reading from any other, and from a damaged one."""
    return crc32(_pack(entry_id, value, at), address.checksum)


def entry_of(row: Row, addresses: dict[int, Address]) -> Entry:
    """Return the reading of a row, exactly as it was written.

    Raises:
        sqlite3.DatabaseError: it is not what was written.
    """
    entry_id, address_id, value, at, checksum = row
    address = addresses.get(address_id)
    try:
        is_whole = address and checksum == checksum_of(entry_id, address, value, at)
    except struct.error:
        is_whole = False
    if not address or not is_whole:
        raise sqlite3.DatabaseError(f"Reading {entry_id} is not what was written")
    return Entry(entry_id, Reading(address.device_id, address.variable, value, at))
