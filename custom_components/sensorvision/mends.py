"""Tell why a name on the server is not plainly made from a name of the house."""

from enum import StrEnum
from typing import NamedTuple


class Mend(StrEnum):
    """Why a name had to be another one."""

    RESERVED = "reserved"
    TAKEN = "taken"
    TOO_LONG = "too_long"
    NEW_UNIT = "new_unit"


class Mends(NamedTuple):
    """Why the two names of an address had to be other ones, None where they had not."""

    device_id: Mend | None = None
    variable: Mend | None = None


def mend_of(wanted: str, given: str, max_chars: int) -> Mend | None:
    """Tell how a wanted name became the one that was given.

    One that has nothing to do with it is kept from before a renaming, and whole.
    """
    if given == wanted:
        return None
    if given == wanted[:max_chars]:
        return Mend.TOO_LONG
    _, underscore, number = given.rpartition("_")
    suffix = f"{underscore}{number}"
    if number.isdecimal() and given == f"{wanted[: max_chars - len(suffix)]}{suffix}":
        return Mend.TAKEN
    return None
