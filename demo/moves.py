"""Use the demo house, so that what does not change by itself changes too."""

import asyncio

from .home_assistant import HomeAssistantApi
from .house import LOCK

_MOVE_INTERVAL_S = 2.5


async def move(house: HomeAssistantApi) -> None:
    """Move things until cancelled."""
    step = 0
    while True:
        step += 1
        await house.post(
            "/api/services/input_number/set_value",
            {
                "entity_id": "input_number.target_temperature",
                "value": 18 + step % 8 * 0.5,
            },
        )
        await house.call_action("switch", "toggle", "switch.decorative_lights")
        await house.call_action("light", "toggle", "light.bed_light")
        await house.call_action("lock", "lock" if step % 2 else "unlock", LOCK)
        await asyncio.sleep(_MOVE_INTERVAL_S)
