"""Remember for a while which devices are the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable

if TYPE_CHECKING:
    from .models import Device
    from .protocol import Answer


class KnownDevices:
    """What the server has said of devices lately.

    Args:
        clock: seconds that only grow.
        lifetime_s: how long what was looked up is held for true.
    """

    def __init__(self, clock: Callable[[], float], lifetime_s: float) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._own: set[str] = set()
        self._refused: dict[str, Answer] = {}
        self._listed_until = float("-inf")
        self._uuids: dict[str, tuple[str, float]] = {}

    @property
    def are_listed(self) -> bool:
        """Whether the list of the user's devices is still held for true."""
        return self._clock() < self._listed_until

    def listed(self, devices: Iterable[Device]) -> None:
        """Remember all of the user's devices."""
        self._own, self._refused, self._uuids = set(), {}, {}
        for device in devices:
            self.seen(device)
        self._listed_until = self._clock() + self._lifetime_s

    def seen(self, device: Device) -> None:
        """Remember a device of the user's."""
        self._own.add(device.device_id)
        self._refused.pop(device.device_id, None)
        if device.uuid is not None:
            until = self._clock() + self._lifetime_s
            self._uuids[device.device_id] = device.uuid, until

    def removed(self, device_id: str) -> None:
        """Forget a device."""
        self._own.discard(device_id)
        self._uuids.pop(device_id, None)

    def refused(self, device_id: str, answer: Answer) -> None:
        """Remember why the user can't write to a device."""
        self._refused[device_id] = answer

    def is_own(self, device_id: str) -> bool:
        """Tell whether a device is the user's."""
        return device_id in self._own

    def refusal(self, device_id: str) -> Answer | None:
        """Return why the user can't write to a device, or None if nothing is known."""
        return self._refused.get(device_id)

    def uuid(self, device_id: str) -> str | None:
        """Return the id of a device in the server's database, or None if unknown."""
        uuid, until = self._uuids.get(device_id, ("", float("-inf")))
        return uuid if self._clock() < until else None

    def forget(self) -> None:
        """Hold nothing for true any more."""
        self._listed_until = float("-inf")
        self._uuids = {}
