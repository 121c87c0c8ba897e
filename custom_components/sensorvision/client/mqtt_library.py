"""What the library for MQTT needs from around it: a loop that bears its ways, and an ear."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import logging
from typing import Any, Callable


class CarefulLoop:
    """An event loop that watches no socket that is closed already."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it is a loop in all else
        return getattr(self._loop, name)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Watch a socket for what comes, if it is open."""
        with suppress(OSError, ValueError):
            self._loop.add_reader(fd, callback)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Watch a socket for room to write, if it is open."""
        with suppress(OSError, ValueError):
            self._loop.add_writer(fd, callback)


class Listener(logging.Handler):
    """Hear why a connection broke, which the library tells nobody but its log.

    Attributes:
        failure: why it did, once it has.
        logger: what the library is given to log to; nothing of it is seen elsewhere.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._loop = asyncio.get_running_loop()
        self.failure: asyncio.Future[OSError] = self._loop.create_future()
        # One of the tree of loggers would stay there after the session.
        self.logger = logging.Logger("mqtt", logging.ERROR)  # noqa: LOG001
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error, from whichever thread."""
        causes = record.args if isinstance(record.args, tuple) else ()
        for cause in causes:
            if isinstance(cause, OSError):
                self._loop.call_soon_threadsafe(self._fail, cause)

    def _fail(self, cause: OSError) -> None:
        if not self.failure.done():
            self.failure.set_result(cause)
