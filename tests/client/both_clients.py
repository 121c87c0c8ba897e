"""Both clients under one vocabulary, so that the same tests judge both."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
import inspect
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pytest

from custom_components.sensorvision.client import AsyncSensorVisionClient, Config
from custom_components.sensorvision.client.sync import SensorVisionClient

type ClientClass = type[AsyncSensorVisionClient]


class _AwaitedClient:
    """The blocking client; each call has a thread, for its server is in the event loop."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        if "ssl" in kwargs:
            kwargs["verify"] = kwargs.pop("ssl")
        open_blocking: Callable[..., SensorVisionClient] = SensorVisionClient
        self.blocking = open_blocking(*args, **kwargs)

    @classmethod
    def from_config(cls, config: Config, **overrides: object) -> Self:
        """Wrap the blocking client of some settings."""
        awaited = cls.__new__(cls)
        awaited.blocking = SensorVisionClient.from_config(config, **overrides)
        return awaited

    def __repr__(self) -> str:
        return repr(self.blocking)

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.blocking.__exit__(exc_type, exc, traceback)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            found = getattr(self.blocking, name)
            awaited = getattr(AsyncSensorVisionClient, name, None)
            return _in_thread(found) if inspect.iscoroutinefunction(awaited) else found


def _in_thread[**P, R](call: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    @wraps(call)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(call, *args, **kwargs)

    return awaited


both_clients = pytest.mark.parametrize(
    "client_class", [AsyncSensorVisionClient, _AwaitedClient], ids=["async", "sync"]
)
