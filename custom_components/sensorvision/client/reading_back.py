"""Name a user's variables, and read back what is stored."""

from __future__ import annotations

import datetime as dt
from typing import Callable

from . import management_protocol, protocol
from .credentials import USER_KEY
from .exceptions import CapabilityError
from .management import Management
from .models import (
    Device,
    Value,
    Variable,
    format_instant,
    value_of,
    variable_of,
)
from .protocol import Request
from .replies import read, read_all
from .user_protocol import Reply


class ReadingBack(Management):
    """What an account may see of variables; its methods raise as `Management`'s do."""

    _kind: str | None = None

    async def variables(self, device: str | Device) -> list[Variable]:
        """Return the variables of a device.

        Args:
            device: its public id, or one of `devices`, which spares a request.
        """
        reply = await self._ask_of(device, management_protocol.variables_request)
        return read_all(variable_of, reply)

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
        return read(variable_of, reply)

    async def latest_values(self, device_id: str) -> dict[str, float]:
        """Return the newest value of each variable of a device."""
        reply = await self._ask_of(device_id, management_protocol.latest_request)
        return read(
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
        return read_all(value_of, await self._ask(request))

    async def _ask_of(
        self, device: str | Device, request_for: Callable[[str], Request]
    ) -> Reply:
        """Ask the server about a device by the id that it has in its database.

        Args:
            device: its public id, or the device.
            request_for: returns the request when it is given that id.
        """
        self._check_role()
        device_id = device if isinstance(device, str) else device.device_id
        held = self._known_devices.uuid(device_id) if isinstance(device, str) else None
        if held is not None:
            reply = await self._ask(request_for(held))
            if reply.answer.kind == protocol.DELIVERED:
                return reply
            # It may be another device by now that has this public id.
            self._known_devices.removed(device_id)
        if isinstance(device, str):
            device = await self.device(device)
        if device.uuid is None:
            raise CapabilityError(
                "This server is too old to show variables",
                "Update it to one of 6 December 2025 or later",
            )
        return await self._ask(request_for(device.uuid))

    def _check_role(self) -> None:
        if self._kind == USER_KEY:
            raise CapabilityError(
                "The server shows variables and values to no user key",
                "Use user name and password",
            )
