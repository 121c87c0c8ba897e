"""Hear of it that Home Assistant stops, which unloads no entry then."""

from collections.abc import Awaitable, Callable, Coroutine
import logging
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_HOMEASSISTANT_STOP,
)
from homeassistant.core import Event, HomeAssistant, callback

_LOGGER = logging.getLogger(__name__)


@callback
def follow_stop(
    hass: HomeAssistant,
    entry: ConfigEntry,
    write_down: Callable[[], Awaitable[None]],
    shut_down: Callable[[], Awaitable[None]],
) -> None:
    """Do what is due when Home Assistant stops, as long as an entry is loaded.

    Args:
        hass: Home Assistant.
        entry: to whose life it is bound.
        write_down: called as soon as the stop begins.
        shut_down: called when everything is to be on disk.
    """
    for event_type, act in (
        (EVENT_HOMEASSISTANT_STOP, write_down),
        (EVENT_HOMEASSISTANT_FINAL_WRITE, shut_down),
    ):
        entry.async_on_unload(hass.bus.async_listen(event_type, _timed(act)))


def _timed(
    act: Callable[[], Awaitable[None]],
) -> Callable[[Event[Any]], Coroutine[Any, Any, None]]:
    """Return what acts on an event, and logs how long that has taken."""

    async def on_event(event: Event[Any]) -> None:
        begun = time.monotonic()
        await act()
        _LOGGER.debug("%s took %.3f s", event.event_type, time.monotonic() - begun)

    return on_event
