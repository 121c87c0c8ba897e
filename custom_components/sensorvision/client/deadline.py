"""Bound how long many steps may take together, in tasks and in threads alike."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
import time
from typing import Iterator

from .exceptions import RequestTimeoutError

_ENDS_AT: ContextVar[float | None] = ContextVar("_ENDS_AT", default=None)


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Let no request or pause inside last longer than this; None sets no bound.

    It is kept by tasks and by `Runtime.gather` that start inside. Of two, the earlier one
    counts. Nothing is interrupted: each step is given no more than what is left.
    """
    left_s = remaining_s()
    bounds = [bound for bound in (seconds, left_s) if bound is not None]
    ends_at = time.monotonic() + min(bounds) if bounds else None
    token = _ENDS_AT.set(ends_at)
    try:
        yield
    finally:
        _ENDS_AT.reset(token)


def remaining_s() -> float | None:
    """Return the seconds that are left, or None if there is no deadline."""
    ends_at = _ENDS_AT.get()
    return None if ends_at is None else ends_at - time.monotonic()


def within_deadline(seconds: float) -> float:
    """Return how long a step may take that would else take so many seconds.

    Raises:
        RequestTimeoutError: no time is left; nothing was sent.
    """
    check_time_left()
    left_s = remaining_s()
    return seconds if left_s is None else min(seconds, left_s)


def check_time_left() -> None:
    """Return if a step may begin.

    Raises:
        RequestTimeoutError: no time is left; nothing was sent.
    """
    left_s = remaining_s()
    if left_s is not None and left_s <= 0:
        raise no_time_left()


def no_time_left() -> RequestTimeoutError:
    """Return the error of a request for which the deadline left no time."""
    return RequestTimeoutError("The time for all of it was over before this was sent")
