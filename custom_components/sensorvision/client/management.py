"""Manage a user's devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Callable

from . import management_protocol, protocol, user_protocol
from .exceptions import DeviceExistsError, TokenExistsError, raise_for
from .known_devices import KnownDevices
from .models import Device, DeviceStatus, device_of
from .protocol import Request
from .replies import read, read_all
from .user_protocol import Reader, Reply, read_reply

if TYPE_CHECKING:
    from .runtime import Runtime


class Management(ABC):
    """What a user may do beside sending; each method raises as it says and besides.

    `CapabilityError` if the credential or the server can't do it, `ValidationError` for
    what can't be sent, a subclass of `AnswerError` if the server said no, `NetworkError`
    if no answer came. Nothing is tried again.

    Args:
        runtime: what it waits by.
        clock: seconds that only grow.
        cache_lifetime_s: how long what is looked up on the way is held for true: whose
            a device is, by which id the server has its variables, what the credential
            can do. What is asked for by name, such as `devices`, is always asked anew.
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: Callable[[], float],
        cache_lifetime_s: float,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._cache_lifetime_s = cache_lifetime_s
        self._known_devices = KnownDevices(clock, cache_lifetime_s)

    @abstractmethod
    async def _ask(self, request: Request, read: Reader = read_reply) -> Reply:
        """Send a request as the user, and read what comes back."""

    async def devices(self) -> list[Device]:
        """Return the devices of the user's organisation."""
        reply = await self._ask(user_protocol.devices_request())
        devices = read_all(device_of, reply)
        self._known_devices.listed(devices)
        return devices

    async def device(self, device_id: str) -> Device:
        """Return one device.

        Raises:
            PermissionDeniedError: it belongs to another organisation.
            DeviceError: there is none.
        """
        reply = await self._ask(user_protocol.device_request(device_id))
        device = read(device_of, reply)
        self._known_devices.seen(device)
        return device

    async def device_status(self, device_id: str) -> DeviceStatus:
        """Return how a device is now, as the server sees it.

        Raises:
            PermissionDeniedError: it belongs to another organisation.
            DeviceError: there is none.
        """
        device = await self.device(device_id)
        return DeviceStatus(
            device.device_id,
            device.status,
            device.last_seen_at,
            device.active,
            device.last_health_check_at,
        )

    async def register_device(
        self,
        device_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        location: str | None = None,
        sensor_type: str | None = None,
        firmware_version: str | None = None,
    ) -> Device:
        """Make a device in the user's organisation, and return it.

        One that is there already is returned as it is.

        Args:
            device_id: its public id.
            name: its name for people, by default its id.
            description: what it is.
            location: where it is.
            sensor_type: its kind or model.
            firmware_version: what it runs.

        Raises:
            PermissionDeniedError: the id belongs to another organisation.
        """
        try:
            return await self.add_device(
                device_id,
                name=name,
                description=description,
                location=location,
                sensor_type=sensor_type,
                firmware_version=firmware_version,
            )
        except DeviceExistsError:
            return await self.device(device_id)

    async def add_device(
        self,
        device_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        location: str | None = None,
        sensor_type: str | None = None,
        firmware_version: str | None = None,
    ) -> Device:
        """Make a device as `register_device` does, but only if there is none yet.

        Raises:
            DeviceExistsError: there is one of this id.
        """
        details = management_protocol.device_details(
            name=name or device_id,
            description=description,
            location=location,
            sensor_type=sensor_type,
            firmware_version=firmware_version,
        )
        request = user_protocol.register_request(device_id, details)
        reply = await self._ask(request)
        if user_protocol.is_taken_device(reply.answer):
            raise DeviceExistsError(reply.answer)
        device = read(device_of, reply)
        self._known_devices.seen(device)
        return device

    async def update_device(
        self,
        device_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        location: str | None = None,
        sensor_type: str | None = None,
        firmware_version: str | None = None,
    ) -> Device:
        """Change what is given of a device, and return it."""
        changes = management_protocol.device_details(
            name=name,
            description=description,
            location=location,
            sensor_type=sensor_type,
            firmware_version=firmware_version,
        )
        old = await self.device(device_id)
        # Whatever a server makes of what is left out, it is sent as it was.
        kept = management_protocol.device_details(
            name=old.name,
            description=old.description,
            location=old.location,
            sensor_type=old.sensor_type,
            firmware_version=old.firmware_version,
        )
        body = {"active": old.active, **kept, **changes}
        reply = await self._ask(management_protocol.update_request(device_id, body))
        return read(device_of, reply)

    async def unregister_device(self, device_id: str) -> None:
        """Remove a device for good, with its token and all its data."""
        reply = await self._ask(management_protocol.delete_request(device_id))
        self._known_devices.removed(device_id)
        raise_for(reply.answer)

    async def create_token(self, device_id: str) -> str:
        """Make a token for a device that has none, and return it, this once.

        Raises:
            TokenExistsError: it has one, which the server shows to nobody.
        """
        request = management_protocol.token_request(device_id, "generate")
        reply = await self._ask(request)
        if reply.answer.status == 400 and reply.answer.is_json:
            raise TokenExistsError(reply.answer)
        return read(lambda data: protocol.check_token(data["token"]), reply)

    async def rotate_token(self, device_id: str) -> str:
        """Replace a device's token and return the new one, this once.

        Whatever still uses the old one is refused from this moment on.
        """
        reply = await self._ask(management_protocol.token_request(device_id, "rotate"))
        return read(lambda data: protocol.check_token(data["token"]), reply)

    async def send_command(
        self, device_id: str, command: str, payload: object = None
    ) -> None:
        """Send a device a command over MQTT, by way of the server and its broker.

        That it returns means that the broker has it: a device that is not connected at
        that moment misses it.

        Args:
            device_id: the device's public id.
            command: what it is to do, in a word that it knows.
            payload: what belongs to it, as JSON has it: None, bool, int, float, str,
                or lists and dicts of them.

        Raises:
            PermissionDeniedError: the device belongs to another organisation.
            DeviceError: there is none.
            ServerError: the server does not reach its broker.
        """
        reply = await self._ask(
            management_protocol.command_request(device_id, command, payload)
        )
        raise_for(management_protocol.command_answer(reply.answer, device_id))
