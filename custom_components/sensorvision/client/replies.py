"""Read what the server shows its users out of its replies."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from . import protocol, user_protocol
from .exceptions import NotSensorVisionError, raise_for
from .user_protocol import Reply

T = TypeVar("T")


def read(parse: Callable[[dict[str, Any]], T], reply: Reply) -> T:
    """Parse the object that the server answered with.

    Raises:
        AnswerError: it said no, or answered with something else.
    """
    raise_for(reply.answer)
    if isinstance(reply.data, dict):
        return read_all(parse, Reply(reply.answer, [reply.data]))[0]
    raise NotSensorVisionError(user_protocol.no_answer(reply.answer.status))


def read_all(parse: Callable[[dict[str, Any]], T], reply: Reply) -> list[T]:
    """Parse the list of objects that the server answered with.

    Raises:
        AnswerError: it said no, or answered with something else.
    """
    raise_for(reply.answer)
    stranger = NotSensorVisionError(user_protocol.no_answer(reply.answer.status))
    objects = user_protocol.objects(reply.data)
    if objects is None:
        raise stranger
    try:
        return [parse(item) for item in objects]
    # A token that can't be one is a value, too.
    except (LookupError, TypeError, ValueError, protocol.ValidationError):
        pass
    # Raised out here: what was read may hold a token.
    raise stranger
