"""Stay connected to one of several brokers."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Awaitable, Callable, Sequence

from .exceptions import NetworkError, RequestTimeoutError, SensorVisionError
from .mqtt_session import Session
from .mqtt_status import (
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    RECONNECTING,
    MqttStatus,
)

if TYPE_CHECKING:
    from .broker import Broker
    from .mqtt_messages import Message, Will
    from .pace import RetryPolicy, Timeouts

_LOGGER = logging.getLogger(__name__)

# Two clients of one id end each other's sessions as soon as they have begun.
_SETTLED_S = 10


class Connection:
    """A session with the first of several brokers that takes one, and the next if lost.

    Args:
        brokers: where to try, in this order each time.
        timeouts: how long to wait for a connection, and for an acknowledgement.
        reconnect: how often to try all of them after a session was lost, and the pauses.
        will: what the broker publishes if a session ends without a farewell.
        on_message: called with each message that arrives.
        on_begun: prepares a session before it is said that there is one; what it raises
            ends the session.
        on_status: called in the event loop with each change.
        on_ended: called when no more sessions will come, with the reason if it was not
            asked for.

    Attributes:
        status: whether there is a session.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        *,
        timeouts: Timeouts,
        reconnect: RetryPolicy,
        will: Will | None,
        on_message: Callable[[Message], None],
        on_begun: Callable[[Session], Awaitable[None]],
        on_status: Callable[[MqttStatus], None] | None,
        on_ended: Callable[[SensorVisionError | None], None],
    ) -> None:
        self._sessions = [
            Session(broker, timeouts=timeouts, will=will, on_message=on_message)
            for broker in brokers
        ]
        self._reconnect = reconnect
        self._on_begun = on_begun
        self._on_status = on_status
        self._on_ended = on_ended
        self._current: Session | None = None
        self._opening: asyncio.Lock | None = None
        self._lost: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun_at = 0.0
        self._short_sessions = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.status = MqttStatus(DISCONNECTED, _now())

    @property
    def session(self) -> Session:
        """The session that there is.

        Raises:
            NetworkError: there is none.
        """
        if self._current is None or not self._current.is_connected:
            hosts = ", ".join(session.broker.host for session in self._sessions)
            raise NetworkError(f"There is no session with the broker {hosts}")
        return self._current

    async def open(self) -> None:
        """Begin a session, unless there is one, and replace it whenever it is lost.

        Raises:
            SensorVisionError: none of the brokers takes one; why the last one does not.
        """
        # Before Python 3.10 a lock belongs to a loop from the beginning.
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._current is None or not self._current.is_connected:
                await self._open()

    async def close(self) -> None:
        """End the session, and begin no other."""
        await self._stop()
        for session in self._sessions:
            await session.close()
        self._current = None
        if self.status.state != DISCONNECTED:
            self._show(DISCONNECTED)
        self._on_ended(None)

    async def wait_connected(self, timeout_s: float | None) -> None:
        """Return once there is a session.

        Raises:
            NetworkError: nobody is trying to get one, or there is none in time.
        """
        if self.status.is_connected:
            return
        if self.status.state == DISCONNECTED:
            raise NetworkError("Nobody is connecting to the broker")
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await asyncio.wait([waiting], timeout=timeout_s)
        finally:
            self._waiting.remove(waiting)
            waiting.cancel()
        if not self.status.is_connected:
            problem = self.status.problem or "The broker was not reached"
            raise RequestTimeoutError(problem.rstrip("."))

    def check(self) -> None:
        """Look whether the session has been lost over what was asked of it."""
        if self._current is not None and not self._current.is_connected and self._lost:
            self._lost.set()

    async def _open(self) -> None:
        await self._stop()
        lost = self._lost = asyncio.Event()
        self._show(CONNECTING)
        try:
            await self._begin()
        except SensorVisionError as err:
            self._show(DISCONNECTED, str(err))
            raise
        except BaseException:
            self._show(DISCONNECTED)
            raise
        self._task = asyncio.ensure_future(self._stay(lost))

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _begin(self) -> None:
        """Begin a session with the first broker that takes one."""
        problem: SensorVisionError = NetworkError("There is no broker")
        for session in self._sessions:
            session.on_lost = self.check
            self._current = session
            try:
                await session.connect()
                await self._on_begun(session)
            except SensorVisionError as err:
                problem = err
                await session.close()
            else:
                self._begun_at = asyncio.get_running_loop().time()
                self._show(CONNECTED)
                return
        self._current = None
        raise problem

    async def _stay(self, lost: asyncio.Event) -> None:
        """Replace each session that is lost, until nobody takes one any more."""
        while True:
            # It may have been lost while it was prepared.
            if self._current is not None and self._current.is_connected:
                lost.clear()
                await lost.wait()
                continue
            problem = await self._begin_again()
            if problem is not None:
                self._task = None
                self._show(DISCONNECTED, str(problem))
                self._on_ended(problem)
                return

    async def _begin_again(self) -> SensorVisionError | None:
        """Begin a session in place of a lost one, or return why there will be none."""
        host = self._current.broker.host if self._current is not None else None
        problem: SensorVisionError = NetworkError(
            f"The session with the broker {host} has ended"
        )
        _LOGGER.info("The broker %s is away", host)
        lasted_s = asyncio.get_running_loop().time() - self._begun_at
        is_short = lasted_s < _SETTLED_S
        self._short_sessions = self._short_sessions + 1 if is_short else 0
        for attempt in range(self._reconnect.attempts - 1):
            self._show(RECONNECTING, str(problem))
            delay_s = self._reconnect.delay_s(attempt + self._short_sessions)
            await asyncio.sleep(delay_s)
            try:
                await self._begin()
            except SensorVisionError as err:
                problem = err
            else:
                _LOGGER.info("There is a session with %s again", self.status.broker)
                return None
        return problem

    def _show(self, state: str, problem: str | None = None) -> None:
        """Tell that something has changed."""
        broker = None
        if state == CONNECTED and self._current is not None:
            broker = f"{self._current.broker.host}:{self._current.broker.port}"
        is_new = state != self.status.state
        since = _now() if is_new else self.status.since
        self.status = MqttStatus(state, since, broker, problem)
        if self._on_status is not None:
            # What it raises must not end the connection.
            asyncio.get_running_loop().call_soon(self._on_status, self.status)
        if state in (CONNECTED, DISCONNECTED):
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
