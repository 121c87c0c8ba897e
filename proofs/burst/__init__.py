"""An integration of the proof's home: it changes many states just as Home Assistant stops.

Nothing else could do so: by then Home Assistant serves nobody any more.
"""

from collections.abc import Iterator
from itertools import cycle, islice
import json
from pathlib import Path
from typing import Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant

# No number of the driver is as high.
_FIRST_NUMBER = 2_000_000


async def async_setup(hass: HomeAssistant, config: dict[str, Any]) -> bool:
    """Wait for the stop."""
    settings = config["burst"]

    async def burst(_event: Event[Any]) -> None:
        """Change states, and write down what they were changed to as the driver does."""
        lines = "".join(_changed(hass, settings["entity_ids"], settings["changes"]))
        log = Path(settings["log"])
        await hass.async_add_executor_job(log.write_text, lines)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, burst)
    return True


def _changed(hass: HomeAssistant, entity_ids: list[str], changes: int) -> Iterator[str]:
    """Change states in turn, and yield a line of the log for each change."""
    for nth, entity_id in enumerate(islice(cycle(entity_ids), changes)):
        number = _FIRST_NUMBER + nth
        hass.states.async_set(entity_id, str(number))
        if state := hass.states.get(entity_id):
            at = state.last_updated.timestamp()
            yield json.dumps({"number": number, "taken_at": at}) + "\n"
