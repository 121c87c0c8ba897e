"""Keep the tokens of devices, which a broker's messages carry."""

from collections.abc import Callable, Iterable

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN

_STORAGE_VERSION = 1

type StoredTokens = dict[str, str]


def tokens_store(hass: HomeAssistant, entry_id: str) -> Store[StoredTokens]:
    """Return where an entry keeps its devices' tokens, for nobody else to read."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.tokens", private=True)


async def load_tokens(hass: HomeAssistant, entry_id: str) -> Tokens:
    """Read the tokens of an entry's devices."""
    store = tokens_store(hass, entry_id)
    return Tokens(store, await store.async_load())


class Tokens:
    """The tokens of an entry's devices that are known.

    Args:
        store: where to keep them.
        stored: those that were kept before.
    """

    def __init__(self, store: Store[StoredTokens], stored: StoredTokens | None) -> None:
        """Know those that were kept before."""
        self._store = store
        self._tokens = stored or {}
        self._listeners: list[Callable[[str], None]] = []

    @callback
    def add_listener(self, listener: Callable[[str], None]) -> None:
        """Call a function with the id of each device whose token is kept from now on."""
        self._listeners.append(listener)

    @callback
    def of(self, device_id: str) -> str | None:
        """Return the token of a device, or None if it isn't known."""
        return self._tokens.get(device_id)

    @callback
    def secrets(self) -> list[str]:
        """Return all of them, for who keeps them out of what is shown."""
        return list(self._tokens.values())

    async def keep(self, device_id: str, token: str) -> None:
        """Keep a device's token; it is on disk then."""
        self._tokens[device_id] = token
        await self._store.async_save(self._tokens)
        for listener in self._listeners:
            listener(device_id)

    async def forget(self, device_ids: Iterable[str]) -> None:
        """Forget the tokens of devices that are gone."""
        known = self._tokens.keys() & set(device_ids)
        for device_id in known:
            del self._tokens[device_id]
        if known:
            await self._store.async_save(self._tokens)
