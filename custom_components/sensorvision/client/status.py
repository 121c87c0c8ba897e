"""What became of the readings, for those who show it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .age import ServerAge
from .capabilities import Capabilities


@dataclass
class Status:
    """What became of the readings.

    Attributes:
        is_connected: whether the last exchange found server and credential good, or
            None before the first.
        problem: why it did not, a sentence for a person, or None.
        is_credential_refused: whether the server has refused the credential.
        capabilities: what the credential can do, or None before the server has said it.
        age: how old the server is, or None before it has been asked.
        clock_offset_s: how far the server's clock is ahead of this machine's, in seconds,
            or None before it has said.
        delivered: how many readings the server has accepted.
        last_delivered: when it last did, in seconds since 1970 (UTC), or None.
        round_trip_s: how long the last post that was answered took, in seconds, or None.
        refused: how many readings the server has refused for good.
        possible_duplicates: how many were sent again although the server may have
            stored them, because its answer was lost, or the process that sent them.
        accepted_devices: ids of the devices whose readings the server has accepted.
        accepted_variables: likewise by device id and variable.
        refused_devices: what the server said, by id of the device that it refuses.
        refused_variables: what the server said, by device id and variable.
    """

    is_connected: bool | None = None
    problem: str | None = None
    is_credential_refused: bool = False
    capabilities: Capabilities | None = None
    age: ServerAge | None = None
    clock_offset_s: float | None = None
    delivered: int = 0
    last_delivered: float | None = None
    round_trip_s: float | None = None
    refused: int = 0
    possible_duplicates: int = 0
    accepted_devices: set[str] = field(default_factory=set)
    accepted_variables: set[tuple[str, str]] = field(default_factory=set)
    refused_devices: dict[str, str] = field(default_factory=dict)
    refused_variables: dict[tuple[str, str], str] = field(default_factory=dict)

    def forget_refused(self, device_id: str | None, variable: str | None) -> None:
        """Take readings for good again, as the server may now.

        Args:
            device_id: only those of this device, or None.
            variable: only those of variables of this name, or None.
        """
        self.refused_variables = {
            key: message
            for key, message in self.refused_variables.items()
            if device_id not in (None, key[0]) or variable not in (None, key[1])
        }

    def carried_over(self) -> Status:
        """Return what another connection to the same server begins with.

        What became of the readings stays true; what the server has against credential,
        devices and numbers it will say again if it still has it.
        """
        return replace(
            self,
            problem=None,
            is_credential_refused=False,
            capabilities=None,
            age=None,
            clock_offset_s=None,
            refused_devices={},
            refused_variables={},
        )
