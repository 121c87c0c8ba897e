"""Get a board its device and its token from the server, with the login of a person."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Coroutine, TypeVar

from sensorvision import (
    AsyncSensorVisionClient,
    DeviceExistsError,
    SensorVisionError,
    TokenExistsError,
)

from .errors import Exit, ProvisionError

if TYPE_CHECKING:
    from types import TracebackType

PASSWORD_VARIABLE = "SENSORVISION_PASSWORD"  # noqa: S105

_Result = TypeVar("_Result")


class Account:
    """A person's login on a server. Use it as a context manager.

    Args:
        url: the server's, with http or https.
        user: the login's name.
        password: the login's.
        ca: the DER certificate of the authority that vouches for the server, or None for
            those that this machine trusts.
    """

    def __init__(self, url: str, user: str, password: str, ca: bytes | None) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._ca = ca
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Account:
        """Open the client, which logs in with its first request."""
        self._client = self._ask(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def token(self, device_id: str, *, firmware: str, is_rotated: bool) -> str | None:
        """Make a token for a device, which is made where it is not there yet.

        Args:
            device_id: of the device.
            firmware: what the server is to show as the device's.
            is_rotated: whether a token that is there is replaced, which shuts out
                whatever uses it.

        Returns:
            The token, or None where there is one already that may not be replaced.

        Raises:
            ProvisionError: the login or the device id is refused, or nobody answers.
        """
        return self._ask(self._token(device_id, firmware, is_rotated=is_rotated))

    async def _token(
        self, device_id: str, firmware: str, *, is_rotated: bool
    ) -> str | None:
        is_new = True
        try:
            await self._client.add_device(device_id, firmware_version=firmware)
        except DeviceExistsError:
            is_new = False
            await self._client.update_device(device_id, firmware_version=firmware)
        try:
            return await self._client.create_token(device_id)
        except TokenExistsError:
            # Some servers make one with the device, and show it to nobody.
            if is_new or is_rotated:
                return await self._client.rotate_token(device_id)
        return None

    async def _open(self) -> AsyncSensorVisionClient:
        context = ssl.create_default_context(cadata=self._ca) if self._ca else True
        return AsyncSensorVisionClient(
            self._url, username=self._user, password=self._password, ssl=context
        )

    def _ask(self, request: Coroutine[object, None, _Result]) -> _Result:
        try:
            return self._loop.run_until_complete(request)
        except SensorVisionError as err:
            raise ProvisionError(
                Exit.ACCOUNT, f"{self._url}: {str(err).rstrip('.')}"
            ) from err
