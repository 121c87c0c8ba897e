"""Tell the server what is new of a device, and leave what a person has entered there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from .client import AsyncSensorVisionClient, Device, Variable
from .details import DeviceDetails, VariableDetails
from .ledger import Ledger

# What the server gives a new variable.
_AUTOMATIC_DECIMALS = 2

type Turn = Callable[[], Awaitable[None]]


@dataclass
class News:
    """What the server is not told yet of a device and its variables."""

    details: DeviceDetails = field(default_factory=DeviceDetails)
    variables: dict[str, VariableDetails] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is anything to tell."""
        return bool(self.details or self.variables)


async def tell(
    client: AsyncSensorVisionClient,
    ledger: Ledger,
    device: Device,
    news: News,
    turn: Turn,
) -> None:
    """Tell the server what is new of a device that it has.

    Args:
        client: the way to the server, as a user.
        ledger: what the server was told; remembers what it is told now.
        device: as the server shows it.
        news: what to tell.
        turn: waits until the next request may go out.

    Raises:
        SensorVisionError: not all of it was told; what was is remembered.
    """
    if news.details:
        await _tell_of_device(client, ledger, device, news.details, turn)
    if not news.variables:
        return
    await turn()
    for variable in await client.variables(device):
        if known := news.variables.get(variable.name):
            await _tell_of_variable(client, ledger, variable, known, turn)


async def _tell_of_device(
    client: AsyncSensorVisionClient,
    ledger: Ledger,
    device: Device,
    known: DeviceDetails,
    turn: Turn,
) -> None:
    device_id = device.device_id
    told = ledger.told(device_id)
    if changes := _changes(known, told, device, {"name": device_id}):
        await turn()
        await client.update_device(device_id, **changes)
    ledger.tell(device_id, known)


async def _tell_of_variable(
    client: AsyncSensorVisionClient,
    ledger: Ledger,
    variable: Variable,
    known: VariableDetails,
    turn: Turn,
) -> None:
    told = ledger.told_of_variable(variable.device_id, variable.name)
    automatic = {
        "display_name": _automatic_name(variable.name),
        "decimal_places": _AUTOMATIC_DECIMALS,
    }
    if changes := _changes(known, told, variable, automatic):
        await turn()
        await client.update_variable(variable, **changes)
    ledger.tell_of_variable(variable.device_id, variable.name, known)


def _changes[Details: (DeviceDetails, VariableDetails)](
    known: Details,
    told: Details,
    there: Device | Variable,
    automatic: Mapping[str, object],
) -> Details:
    """Return what is to be changed: never what a person has entered on the server.

    Args:
        known: what Home Assistant knows.
        told: what the server was told before.
        there: what the server has.
        automatic: what it has by itself, as far as that is not empty.
    """
    changes: dict[str, object] = {}
    for key, value in known.items():
        present = getattr(there, key)
        is_ours = present in (None, "", automatic.get(key), told.get(key))
        if is_ours and present != value:
            changes[key] = value
    return cast("Details", changes)


def _automatic_name(variable: str) -> str:
    """Return what the server calls a variable for people, unless it is told."""
    return " ".join(word.capitalize() for word in variable.split("_") if word)
