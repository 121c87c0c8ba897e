"""What a client is subscribed to, over all of its sessions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Iterable

from .exceptions import SubscriptionError

if TYPE_CHECKING:
    from .mqtt_session import Session

_LOGGER = logging.getLogger(__name__)


class Subscriptions:
    """The filters of a client, which each session is subscribed to anew.

    Attributes:
        granted: by filter, the quality of service that the broker grants.
    """

    def __init__(self) -> None:
        self.granted: dict[str, int] = {}
        self._wanted: dict[str, int] = {}

    async def add(self, session: Session, filters: Iterable[str], qos: int) -> None:
        """Subscribe to more.

        Raises:
            NetworkError: the session has ended.
            SubscriptionError: the broker refuses some; it has taken the others.
        """
        refused = await self._subscribe(session, dict.fromkeys(filters, qos))
        if refused:
            raise SubscriptionError(refused)

    async def remove(self, session: Session, filters: Iterable[str]) -> None:
        """Subscribe to some no longer.

        Raises:
            NetworkError: the session has ended.
        """
        gone = list(filters)
        await session.unsubscribe(gone)
        for topic_filter in gone:
            self._forget(topic_filter)

    async def renew(self, session: Session) -> None:
        """Subscribe a new session to everything; what it refuses now is given up.

        Raises:
            NetworkError: the session has ended.
        """
        if self._wanted:
            refused = await self._subscribe(session, dict(self._wanted))
            for topic_filter in refused:
                _LOGGER.warning("The broker refuses %s from now on", topic_filter)

    async def _subscribe(self, session: Session, wanted: dict[str, int]) -> list[str]:
        granted = await session.subscribe(list(wanted.items()))
        refused = []
        for (topic_filter, qos), level in zip(wanted.items(), granted):
            if level is None:
                self._forget(topic_filter)
                refused.append(topic_filter)
            else:
                self._wanted[topic_filter] = qos
                self.granted[topic_filter] = level
        return refused

    def _forget(self, topic_filter: str) -> None:
        self._wanted.pop(topic_filter, None)
        self.granted.pop(topic_filter, None)
