"""Manage a user's devices and variables, and read back what is stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
import datetime as dt
from typing import Any, Callable, TypeVar

from . import management_protocol, protocol, user_protocol
from .credentials import USER_KEY
from .exceptions import (
    CapabilityError,
    DeviceExistsError,
    NotSensorVisionError,
    TokenExistsError,
    error_of,
    raise_for,
)
from .models import (
    Device,
    Value,
    Variable,
    device_of,
    format_instant,
    value_of,
    variable_of,
)
from .protocol import Request
from .user_protocol import Reply

T = TypeVar("T")


class Management(ABC):
    """What a user may do beside sending; each method raises as it says and besides.

    `CapabilityError` if the credential or the server can't do it, `ValidationError` for
    what can't be sent, a subclass of `AnswerError` if the server said no, `NetworkError`
    if no answer came. Nothing is tried again.
    """

    _kind: str | None = None

    @abstractmethod
    async def _ask(self, request: Request) -> Reply:
        """Send a request as the user, and read its answer."""

    async def devices(self) -> list[Device]:
        """Return the devices of the user's organisation."""
        reply = await self._ask(user_protocol.devices_request())
        return _read_all(device_of, reply)

    async def device(self, device_id: str) -> Device:
        """Return one device.

        Raises:
            PermissionDeniedError: it belongs to another organisation.
            DeviceError: there is none.
        """
        reply = await self._ask(user_protocol.device_request(device_id))
        return _read(device_of, reply)

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
        return _read(device_of, reply)

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
        return _read(device_of, reply)

    async def unregister_device(self, device_id: str) -> None:
        """Remove a device for good, with its token and all its data."""
        reply = await self._ask(management_protocol.delete_request(device_id))
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
        return _read(lambda data: protocol.check_token(data["token"]), reply)

    async def rotate_token(self, device_id: str) -> str:
        """Replace a device's token and return the new one, this once.

        Whatever still uses the old one is refused from this moment on.
        """
        reply = await self._ask(management_protocol.token_request(device_id, "rotate"))
        return _read(lambda data: protocol.check_token(data["token"]), reply)

    async def variables(self, device: str | Device) -> list[Variable]:
        """Return the variables of a device.

        Args:
            device: its public id, or one of `devices`, which spares a request.
        """
        uuid = await self._uuid(device)
        reply = await self._ask(management_protocol.variables_request(uuid))
        return _read_all(variable_of, reply)

    async def update_variable(
        self,
        variable: Variable,
        *,
        display_name: str | None = None,
        description: str | None = None,
        unit: str | None = None,
        decimal_places: int | None = None,
    ) -> Variable:
        """Change what is given of a variable, and return it.

        Args:
            variable: one of `variables`.
            display_name: its name for people, at most 255 characters.
            description: what it is.
            unit: its unit, at most 50 characters.
            decimal_places: how many decimals are shown, 0 to 10.
        """
        self._check_role()
        details = management_protocol.variable_details(
            display_name=display_name,
            description=description,
            unit=unit,
            decimal_places=decimal_places,
        )
        reply = await self._ask(
            management_protocol.update_variable_request(
                variable.device_uuid, variable.id, details
            )
        )
        return _read(variable_of, reply)

    async def latest_values(self, device_id: str) -> dict[str, float]:
        """Return the newest value of each variable of a device."""
        uuid = await self._uuid(device_id)
        reply = await self._ask(management_protocol.latest_request(uuid))
        return _read(
            lambda data: {name: float(value) for name, value in data.items()}, reply
        )

    async def values(
        self, variable: Variable, start: dt.datetime, end: dt.datetime
    ) -> list[Value]:
        """Return the values that were true between two times, oldest first.

        Args:
            variable: one of `variables`.
            start: the earliest time, with a zone.
            end: the latest time, with a zone.
        """
        self._check_role()
        request = management_protocol.values_request(
            variable.device_uuid,
            variable.id,
            format_instant(start),
            format_instant(end),
        )
        return _read_all(value_of, await self._ask(request))

    async def _uuid(self, device: str | Device) -> str:
        """Return the id by which variables are asked for."""
        self._check_role()
        if isinstance(device, str):
            device = await self.device(device)
        uuid = device.uuid
        if uuid is None:
            raise CapabilityError(
                "This server is too old to show variables",
                "Update it to one of 6 December 2025 or later",
            )
        return uuid

    def _check_role(self) -> None:
        if self._kind == USER_KEY:
            raise CapabilityError(
                "The server shows variables and values to no user key",
                "Use user name and password",
            )


def _read(parse: Callable[[dict[str, Any]], T], reply: Reply) -> T:
    """Parse the object that the server answered with.

    Raises:
        AnswerError: it said no, or answered with something else.
    """
    raise_for(reply.answer)
    if isinstance(reply.data, dict):
        read = _read_all(parse, Reply(reply.answer, [reply.data]))
        return read[0]
    raise NotSensorVisionError(user_protocol.no_answer(reply.answer.status))


def _read_all(parse: Callable[[dict[str, Any]], T], reply: Reply) -> list[T]:
    """Parse the list of objects that the server answered with.

    Raises:
        AnswerError: it said no, or answered with something else.
    """
    error = error_of(reply.answer)
    if error is not None:
        raise error
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
