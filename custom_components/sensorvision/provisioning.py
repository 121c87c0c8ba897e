"""Obtain the tokens that devices need where a server checks those of messages."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_USERNAME
from homeassistant.core import callback

from .client import (
    AsyncSensorVisionClient,
    DeviceError,
    DeviceExistsError,
    PermissionDeniedError,
    TokenExistsError,
)
from .client.user_protocol import is_unknown_device
from .tokens import Tokens


def can_issue(entry: ConfigEntry) -> bool:
    """Tell whether an entry's credential lets it give devices tokens."""
    return CONF_USERNAME in entry.data


class Provisioning:
    """Give each device of an entry the token that its messages must carry.

    With an account one is generated for a device that has none. A token that somebody
    may use is replaced only by `rotate`, which a person asks for.

    Args:
        entry: whose devices they are.
        tokens: those that are known; has them, too, that are obtained.
        client: returns the way to the server.
        details_of_new: what is known of a device that is about to be made.
        on_change: called when another device needs a token, or one no more.
        on_known: called when one is known that was needed.

    Attributes:
        needed: ids of the devices whose token only a person can tell.
    """

    def __init__(
        self,
        entry: ConfigEntry,
        tokens: Tokens,
        *,
        client: Callable[[], AsyncSensorVisionClient],
        details_of_new: Callable[[str], Mapping[str, str]],
        on_change: Callable[[], None],
        on_known: Callable[[], None],
    ) -> None:
        """Ask for nothing yet."""
        self.needed: set[str] = set()
        self._entry = entry
        self._tokens = tokens
        self._client = client
        self._details_of_new = details_of_new
        self._on_change = on_change
        self._on_known = on_known
        # Of two brokers, the second is to find what was obtained for the first.
        self._lock = asyncio.Lock()
        tokens.add_listener(self._is_known)

    async def token_of(self, device_id: str) -> str | None:
        """Return a device's token, which is kept by then, or None if only a person can.

        Raises:
            SensorVisionError: it can't be obtained now.
        """
        if token := self._tokens.of(device_id):
            return token
        return await _to_its_end(self._obtain(device_id))

    async def rotate(self, device_id: str) -> None:
        """Replace a device's token, as a person has chosen.

        Raises:
            SensorVisionError: it was not replaced, or nobody knows.
        """
        await _to_its_end(self._rotate(device_id))

    async def _rotate(self, device_id: str) -> None:
        async with self._lock:
            token = await self._client().rotate_token(device_id)
            await self._tokens.keep(device_id, token)

    async def _obtain(self, device_id: str) -> str | None:
        async with self._lock:
            if token := self._tokens.of(device_id):
                return token
            if not can_issue(self._entry):
                self._is_needed(device_id)
                return None
            try:
                token = await self._issue(device_id)
            except TokenExistsError, PermissionDeniedError:
                self._is_needed(device_id)
            else:
                await self._tokens.keep(device_id, token)
                return token
        return None

    async def _issue(self, device_id: str) -> str:
        """Generate a token for a device, which is made if it is not there yet."""
        client = self._client()
        if not await _is_there(client, device_id) and await self._add(device_id):
            try:
                return await client.create_token(device_id)
            except TokenExistsError:
                # The server made it with the device and has shown it to nobody.
                return await client.rotate_token(device_id)
        return await client.create_token(device_id)

    async def _add(self, device_id: str) -> bool:
        """Make a device, and return whether it was this that made it."""
        details = {"name": device_id, **self._details_of_new(device_id)}
        try:
            await self._client().add_device(device_id, **details)
        except DeviceExistsError:
            return False
        return True

    def _is_needed(self, device_id: str) -> None:
        if device_id not in self.needed:
            self.needed.add(device_id)
            self._on_change()

    @callback
    def _is_known(self, device_id: str) -> None:
        if device_id in self.needed:
            self.needed.remove(device_id)
            self._on_change()
            self._on_known()


async def _to_its_end[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Do work that goes on when nobody waits for it: a token is shown only once."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_hear_out)
    await asyncio.wait([task])
    return task.result()


def _hear_out(task: asyncio.Future[Any]) -> None:
    """Take note of what failed, which may concern nobody any more."""
    if not task.cancelled():
        task.exception()


async def _is_there(client: AsyncSensorVisionClient, device_id: str) -> bool:
    """Tell whether the server has a device of the user's organisation.

    Raises:
        PermissionDeniedError: it is another organisation's.
    """
    try:
        await client.device(device_id)
    except DeviceError as err:
        if not is_unknown_device(err.answer):
            raise
        return False
    return True
