"""Bring to the server what Home Assistant knows of devices and variables."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
import logging
from typing import Any, cast

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)

from .client import (
    AnswerError,
    AsyncSensorVisionClient,
    CapabilityError,
    Device,
    DeviceError,
    PayloadError,
    SensorVisionError,
    ServerError,
)
from .client.delivery import Pace, Status
from .const import DOMAIN
from .details import Knowledge
from .ledger import Ledger
from .telling import News, tell

_LOGGER = logging.getLogger(__name__)

# In windows and spacings of the delivery, which always has the right of way.
_COLLECT_FOR_WINDOWS = 5
_REQUEST_EVERY_SPACINGS = 3

# As long as the server does not have all that is to be told of.
_LOOK_AGAIN_S = 900

_VARIABLES_AT_ONCE = 100
_ATTEMPTS = 3

_REGISTRY_EVENTS = (
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    ar.EVENT_AREA_REGISTRY_UPDATED,
)


class Registration:
    """Keep the server's devices and variables called and placed as in Home Assistant.

    It works behind the delivery: on what the server has accepted readings of, one
    request at a time. A device that is set aside after an error stays so until the
    entry connects anew or the server has it anew.

    Args:
        hass: Home Assistant.
        entry: to whose life the work is bound.
        knowledge: what Home Assistant knows.
        ledger: what the server was told.
        pace: of the delivery.
        on_other_ways: returns what became of what is not delivered over HTTP.

    Attributes:
        problem: why it waits to try again, a sentence for a person, or None.
        set_aside: what the server said, by id of the device.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        knowledge: Knowledge,
        ledger: Ledger,
        pace: Pace,
        on_other_ways: Callable[[], Iterable[Status]],
    ) -> None:
        """Prepare, and start nothing yet."""
        self.problem: str | None = None
        self.set_aside: dict[str, str] = {}
        self._hass = hass
        self._entry = entry
        self._knowledge = knowledge
        self._ledger = ledger
        self._pace = pace
        self._on_other_ways = on_other_ways
        self._due: set[str] = set()
        self._due_changes = 0
        self._are_all_due = False
        self._accepted: set[tuple[str, str]] = set()
        self._failures: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._progress: tuple[bool | None, int] | None = None
        self._stops: list[CALLBACK_TYPE] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def due(self) -> int:
        """Return how many devices are to be looked at."""
        return len(self._due)

    def as_shown(self) -> dict[str, Any]:
        """Return how it goes, for those who look for a fault."""
        return {
            "told": self._ledger.counts(),
            "due": self.due,
            "problem": self.problem,
            "set_aside": dict(self.set_aside),
        }

    @callback
    def details_of_new(self, device_id: str) -> Mapping[str, str]:
        """Return what is known of a device that is about to be made on the server."""
        self._ledger.forget_told(device_id)
        self.set_aside.pop(device_id, None)
        self._due.add(device_id)
        self._due_changes += 1
        self._wake.set()
        return cast("Mapping[str, str]", self._knowledge.device(device_id))

    @callback
    def status_changed(self, client: AsyncSensorVisionClient, status: Status) -> None:
        """Begin once the credential is known to be one for it, and go on from there."""
        if not status.capabilities or not status.capabilities.create_devices:
            self.stop()
            return
        if not self._task:
            self._start(client, status)
        progress = (
            status.is_connected,
            sum(len(way.accepted_variables) for way in self._all_ways(status)),
        )
        if progress != self._progress:
            self._progress = progress
            self._wake.set()

    @callback
    def stop(self) -> None:
        """Bring nothing any more."""
        if self._task:
            self._task.cancel()
            self._task = None
        for stop in self._stops:
            stop()
        self._stops.clear()

    def _start(self, client: AsyncSensorVisionClient, status: Status) -> None:
        self.set_aside.clear()
        self._failures.clear()
        self._accepted = set()
        self._look_at_all()
        for event_type in _REGISTRY_EVENTS:
            self._stops.append(
                self._hass.bus.async_listen(event_type, self._registry_updated)
            )
        self._task = self._entry.async_create_background_task(
            self._hass, self._run(client, status), f"{DOMAIN} registration"
        )

    @callback
    def _registry_updated(self, _event: Event[Any]) -> None:
        self._look_at_all()

    def _look_at_all(self) -> None:
        self._are_all_due = True
        self._due_changes += 1
        self._wake.set()

    async def _run(self, client: AsyncSensorVisionClient, status: Status) -> None:
        attempt = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S if self._due else None):
                    await self._wake.wait()
            await asyncio.sleep(_COLLECT_FOR_WINDOWS * self._pace.window_s)
            self._wake.clear()
            try:
                await self._bring(client, status)
            except SensorVisionError as err:
                _LOGGER.debug("The registration goes on later: %s", err)
                self.problem = str(err)
                asked_s = err.retry_after_s if isinstance(err, AnswerError) else None
                delay_s = self._pace.backoff.delay_s(attempt)
                await asyncio.sleep(max(delay_s, asked_s or 0))
                attempt += 1
                self._wake.set()
            else:
                self.problem = None
                attempt = 0

    async def _bring(self, client: AsyncSensorVisionClient, status: Status) -> None:
        """Tell the server what it is not told yet of what it has."""
        if self._are_all_due:
            self._due.update(self._knowledge.device_ids())
            self._are_all_due = False
        for way in self._all_ways(status):
            accepted = way.accepted_variables - self._accepted
            self._accepted |= accepted
            self._due.update(device_id for device_id, _ in accepted)
        if not status.is_connected:
            return
        due = sorted(self._due, key=lambda device_id: self._failures[device_id])
        ready = {
            device_id: news
            for device_id in due
            if (news := await self._look(device_id, status))
        }
        if not ready:
            return
        await self._turn()
        there = {device.device_id: device for device in await client.devices()}
        try:
            for device_id in ready.keys() & there.keys():
                await self._try(client, there[device_id], ready[device_id])
                await self._look(device_id, status)
        finally:
            self._ledger.save_soon()

    async def _look(self, device_id: str, status: Status) -> News | None:
        """Return what is to be told of a device and what it has; the rest stays due."""
        due_changes = self._due_changes
        news = await self._news(device_id, status)
        if not news:
            if due_changes == self._due_changes:
                self._due.discard(device_id)
            return None
        ways = self._all_ways(status)
        if not any(device_id in way.accepted_devices for way in ways):
            return None
        for variable in list(news.variables):
            address = device_id, variable
            if not any(address in way.accepted_variables for way in ways):
                del news.variables[variable]
        return news or None

    def _all_ways(self, status: Status) -> list[Status]:
        return [status, *self._on_other_ways()]

    async def _news(self, device_id: str, status: Status) -> News:
        news = News()
        if mirror_ids := self._knowledge.mirrors_of(device_id):
            self._ledger.note_uses(device_id, mirror_ids)
        if device_id in self.set_aside:
            return news
        details = self._knowledge.device(device_id)
        if details and details != self._ledger.told(device_id):
            news.details = details
        if status.capabilities and status.capabilities.name_variables:
            variables = self._knowledge.variables(device_id)
            for count, (variable, known) in enumerate(variables, 1):
                if known != self._ledger.told_of_variable(device_id, variable):
                    news.variables[variable] = known
                if count % _VARIABLES_AT_ONCE == 0:
                    await asyncio.sleep(0)
        await asyncio.sleep(0)
        return news

    async def _try(
        self, client: AsyncSensorVisionClient, device: Device, news: News
    ) -> None:
        """Tell the news of a device, and set it aside if that can't succeed."""
        try:
            await tell(client, self._ledger, device, news, self._turn)
        except (CapabilityError, DeviceError, PayloadError) as err:
            self.set_aside[device.device_id] = str(err)
        except ServerError as err:
            self._failures[device.device_id] += 1
            if self._failures[device.device_id] < _ATTEMPTS:
                raise
            self.set_aside[device.device_id] = str(err)

    async def _turn(self) -> None:
        """Leave the server to the delivery for a while."""
        await asyncio.sleep(_REQUEST_EVERY_SPACINGS * self._pace.spacing_s)
