"""Ask the server what it already has, so that nothing is stored twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from .client import (
    AnswerError,
    AsyncSensorVisionClient,
    CapabilityError,
    DeviceError,
    SensorVisionError,
    Variable,
)
from .client.pace import Pace

# In spacings of the delivery, which always has the right of way.
_REQUEST_EVERY_SPACINGS = 3


class StoredTimes:
    """The times at which a server has values of variables.

    Args:
        client: returns the present way to the server.
        pace: of the delivery.

    Attributes:
        problem: why it waits to ask again, a sentence for a person, or None.
    """

    def __init__(
        self, client: Callable[[], AsyncSensorVisionClient], pace: Pace
    ) -> None:
        """Know nothing yet."""
        self.problem: str | None = None
        self._client = client
        self._pace = pace
        self._variables: dict[tuple[str, str], Variable] = {}

    def forget(self) -> None:
        """Look for variables anew: they may be other ones by now."""
        self._variables.clear()

    async def between(
        self, device_id: str, variable: str, start: datetime, end: datetime
    ) -> list[datetime]:
        """Return the times of a variable's values in a period.

        A server that does not know the device or the variable has none; nor is there
        any that a credential may not read. Until it answers, it is asked again.
        """
        found = await self._variable(device_id, variable)
        if found is None:
            return []
        values = await self._persistently(
            lambda: self._client().values(found, start, end)
        )
        return [value.timestamp for value in values]

    async def _variable(self, device_id: str, name: str) -> Variable | None:
        if (device_id, name) not in self._variables:
            variables = await self._persistently(
                lambda: self._client().variables(device_id)
            )
            self._variables |= {(device_id, known.name): known for known in variables}
        return self._variables.get((device_id, name))

    async def _persistently[T](self, ask: Callable[[], Awaitable[list[T]]]) -> list[T]:
        attempt = 0
        while True:
            await asyncio.sleep(_REQUEST_EVERY_SPACINGS * self._pace.spacing_s)
            try:
                answer = await ask()
            except CapabilityError, DeviceError:
                answer = []
            except SensorVisionError as err:
                self.problem = str(err)
                asked_s = err.retry_after_s if isinstance(err, AnswerError) else None
                delay_s = self._pace.backoff.delay_s(attempt)
                await asyncio.sleep(max(delay_s, asked_s or 0))
                attempt += 1
                continue
            self.problem = None
            return answer
