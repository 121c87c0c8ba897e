"""Mend what a repair issue says, as far as Home Assistant can."""

from typing import Any

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.core import HomeAssistant

from .problems import (
    ISSUE_DEVICE_REFUSED,
    ISSUE_READING_REFUSED,
    ISSUE_TARGET_MISSING,
    ISSUE_TOKEN_NEEDED,
)
from .removal import ISSUE_MIRROR_REMOVED
from .removal_flow import RemovedMirrorFlow
from .repair_flows import MissingThingsFlow, RefusedDeviceFlow, RefusedReadingFlow
from .token_flow import NeededTokenFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the flow that mends an issue of this kind."""
    if data and issue_id.startswith(ISSUE_MIRROR_REMOVED):
        return RemovedMirrorFlow(data)
    if data and issue_id.startswith(ISSUE_TARGET_MISSING):
        return MissingThingsFlow(data)
    if data and issue_id.startswith(ISSUE_TOKEN_NEEDED):
        return NeededTokenFlow(data)
    if data and issue_id.startswith(ISSUE_DEVICE_REFUSED):
        return RefusedDeviceFlow(data)
    if data and issue_id.startswith(ISSUE_READING_REFUSED):
        return RefusedReadingFlow(data)
    return ConfirmRepairFlow()
