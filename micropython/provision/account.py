"""Get a board its device and its token from the server, with the login of a person."""

import asyncio
from collections.abc import Coroutine
from importlib.util import module_from_spec, spec_from_file_location
import ssl
import sys
from types import ModuleType, TracebackType
from typing import Any, Self

from micropython.manifest import device_files
from micropython.provision.errors import Exit, ProvisionError

PASSWORD_VARIABLE = "SENSORVISION_PASSWORD"  # noqa: S105

_CLIENT_PACKAGE = "sensorvision_client"


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
        self._package = _client_package()
        self._runner = asyncio.Runner()
        self._client: Any = None

    def __enter__(self) -> Self:
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
        with self._runner:
            self._runner.run(self._client.close())

    def token(self, device_id: str, *, is_rotated: bool) -> str | None:
        """Make a token for a device, which is made where it is not there yet.

        Args:
            device_id: of the device.
            is_rotated: whether a token that is there is replaced, which shuts out
                whatever uses it.

        Returns:
            The token, or None where there is one already that may not be replaced.

        Raises:
            ProvisionError: the login or the device id is refused, or nobody answers.
        """
        return self._ask(self._token(device_id, is_rotated=is_rotated))

    async def _token(self, device_id: str, *, is_rotated: bool) -> str | None:
        package, client = self._package, self._client
        is_new = True
        try:
            await client.add_device(device_id)
        except package.DeviceExistsError:
            is_new = False
        try:
            return str(await client.create_token(device_id))
        except package.TokenExistsError:
            # Some servers make one with the device, and show it to nobody.
            if is_new or is_rotated:
                return str(await client.rotate_token(device_id))
        return None

    async def _open(self) -> object:
        context = ssl.create_default_context(cadata=self._ca) if self._ca else True
        return self._package.AsyncSensorVisionClient(
            self._url, username=self._user, password=self._password, ssl=context
        )

    def _ask[T](self, request: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(request)
        except self._package.SensorVisionError as err:
            raise ProvisionError(
                Exit.ACCOUNT, f"{self._url}: {str(err).rstrip('.')}"
            ) from err


def _client_package() -> ModuleType:
    """Import the integration's client by itself: the integration needs Home Assistant."""
    if _CLIENT_PACKAGE not in sys.modules:
        folder = device_files()["sensorvision/protocol.py"].parent
        spec = spec_from_file_location(
            _CLIENT_PACKAGE,
            folder / "__init__.py",
            submodule_search_locations=[str(folder)],
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} is no package")
        package = sys.modules[_CLIENT_PACKAGE] = module_from_spec(spec)
        spec.loader.exec_module(package)
    return sys.modules[_CLIENT_PACKAGE]
