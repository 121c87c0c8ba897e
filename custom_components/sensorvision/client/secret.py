"""Hold what may be known to nobody but the server that it is for."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn
import weakref

MASK = "***"

_known: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()


class Secret:
    """A text that prints as `***` wherever it is printed by accident.

    It can't be pickled, and `json.dumps` refuses it, so that it gets into no file
    unseen. As long as it lives, `redaction.redacted` finds its value in texts.

    Args:
        value: the text, or a secret that holds it.

    Raises:
        TypeError: it is anything else.
    """

    __slots__ = ("__weakref__", "_value")

    _value: str

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        if not isinstance(value, str):
            raise TypeError(f"A secret is a text, not of type {type(value).__name__}")
        object.__setattr__(self, "_value", value)
        _known[id(self)] = self

    def reveal(self) -> str:
        """Return the text itself, for the server that it is for."""
        return self._value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("A secret can't be changed; make another one")

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare with another secret, in a time that tells nothing of either."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self), _bytes(other))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret can't be pickled: its text would stand in a file")


def known_secrets() -> list[str]:
    """Return the texts of all secrets that are alive, the longest first."""
    alive = (reference() for reference in _known.valuerefs())
    texts = {secret.reveal() for secret in alive if secret is not None}
    return sorted(filter(None, texts), key=len, reverse=True)


def _bytes(secret: Secret) -> bytes:
    # What an environment holds need not be UTF-8.
    return secret.reveal().encode("utf-8", "surrogatepass")
