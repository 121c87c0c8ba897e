"""The sensors whose states are exported."""

import json
from pathlib import Path
import time

from homeassistant.config_entries import SOURCE_IGNORE
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_FRIENDLY_NAME,
    ATTR_UNIT_OF_MEASUREMENT,
    UnitOfPower,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from benchmarks.house import config_entry

from .order import Order

# Devices need an owner, and one that does nothing if it is ignored.
_PLATFORM = "season"
_OWNER_ID = "01JD00000000000000000WNER0"
_SENSORS_PER_DEVICE = 20


class Sensors:
    """Sensors that show one number after another, in turn.

    Attributes:
        entity_ids: all of them.
        last: the number that was shown last.
    """

    def __init__(self, hass: HomeAssistant, order: Order) -> None:
        """Show nothing yet."""
        self._hass = hass
        self._shown = [
            (
                f"sensor.thing_{nth}",
                {
                    ATTR_FRIENDLY_NAME: f"{_device_name(nth)} Thing {nth}",
                    ATTR_UNIT_OF_MEASUREMENT: UnitOfPower.WATT,
                    ATTR_DEVICE_CLASS: "power",
                    "state_class": "measurement",
                },
            )
            for nth in range(order.sensors)
        ]
        self.entity_ids = [entity_id for entity_id, _ in self._shown]
        self.last = order.first - 1
        self._unwritten: list[tuple[int, float]] = []
        self._is_log_safe = order.is_log_safe
        self._log = Path(order.log).open("a") if order.log else None

    async def register(self) -> None:
        """Have them in the registries, in devices of 20."""
        entries = self._hass.config_entries
        if not (owner := entries.async_get_entry(_OWNER_ID)):
            owner = config_entry(
                _PLATFORM, {}, source=SOURCE_IGNORE, entry_id=_OWNER_ID
            )
            await entries.async_add(owner)
        for nth in range(len(self._shown)):
            device = dr.async_get(self._hass).async_get_or_create(
                config_entry_id=_OWNER_ID,
                identifiers={(_PLATFORM, _device_name(nth))},
                name=_device_name(nth),
            )
            er.async_get(self._hass).async_get_or_create(
                "sensor",
                _PLATFORM,
                str(nth),
                suggested_object_id=f"thing_{nth}",
                config_entry=owner,
                device_id=device.id,
                original_name=f"Thing {nth}",
                has_entity_name=True,
            )

    def set_next(self) -> None:
        """Let the next sensor show the next number."""
        self.set(self.last % len(self._shown))

    def set(self, nth: int) -> int:
        """Let one of the sensors show the next number, and return that."""
        self.last += 1
        entity_id, attributes = self._shown[nth]
        now = time.time()
        self._hass.states.async_set(
            entity_id, str(self.last), attributes, timestamp=now
        )
        if self._log:
            self._unwritten.append((self.last, now))
            if self._is_log_safe:
                self.write_log()
        return self.last

    def write_log(self) -> None:
        """Write down which were set."""
        if self._log:
            self._log.writelines(f"{json.dumps(each)}\n" for each in self._unwritten)
            self._log.flush()
        self._unwritten.clear()


def _device_name(nth: int) -> str:
    return f"Device {nth // _SENSORS_PER_DEVICE}"
