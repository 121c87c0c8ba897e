"""Translate a state into the number that stands for it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State

from .client.protocol import VALUE_LIMIT


class SkipReason(StrEnum):
    """Why something that was chosen is not sent."""

    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    TEXT = "text"
    OUT_OF_RANGE = "out_of_range"
    NO_STATE = "no_state"
    NO_NUMBER = "no_number"
    OTHER_MIRROR = "other_mirror"


_NO_STATES = {
    STATE_UNKNOWN: SkipReason.UNKNOWN,
    STATE_UNAVAILABLE: SkipReason.UNAVAILABLE,
}

_NUMBER_BY_WORD = {
    "on": 1,
    "off": 0,
    "open": 1,
    "closed": 0,
    "home": 1,
    "not_home": 0,
    "locked": 1,
    "unlocked": 0,
    "above_horizon": 1,
    "below_horizon": 0,
}

# A cover on its way is not closed, and a lock that is open is not locked.
_NUMBER_BY_WORD_OF_DOMAIN = {
    "cover": {"open": 1, "opening": 1, "closing": 1, "closed": 0},
    "valve": {"open": 1, "opening": 1, "closing": 1, "closed": 0},
    "lock": {"locked": 1, "unlocked": 0, "open": 0},
}

_NO_TEXTS: Mapping[str, int | float] = MappingProxyType({})

_PRESENCE_DOMAINS = frozenset({"device_tracker", "person"})

# They have "off" or "open" beside several words that are no numbers: to send only some
# of their states would leave a false last value.
_MANY_WORDED_DOMAINS = frozenset(
    {
        "alarm_control_panel",
        "climate",
        "input_select",
        "lawn_mower",
        "media_player",
        "select",
        "vacuum",
        "water_heater",
    }
)


def number_of(
    state: State, number_by_text: Mapping[str, int | float] = _NO_TEXTS
) -> int | float | SkipReason:
    """Return the number that a state stands for, or why there is none.

    Args:
        state: of any entity.
        number_by_text: what some texts are to stand for, whatever they mean elsewhere.
    """
    text = state.state
    if number_by_text and text in number_by_text and text not in _NO_STATES:
        return number_by_text[text]
    if state.domain in _PRESENCE_DOMAINS:
        # Any other state is the name of a zone that isn't home.
        return _NO_STATES.get(text) or int(text == "home")
    number = parse_number(text)
    if number is None:
        return _NO_STATES.get(text) or _number_by_word(state)
    # Not a number is not below anything.
    return number if -VALUE_LIMIT < number < VALUE_LIMIT else SkipReason.OUT_OF_RANGE


def parse_number(text: str) -> int | float | None:
    """Read a decimal number, as it is written."""
    if "_" in text:
        return None
    # To try a text with a point as a whole number takes as long as all the rest.
    if "." not in text:
        try:
            return int(text)
        except ValueError:
            pass
    try:
        return float(text)
    except ValueError:
        return None


def _number_by_word(state: State) -> int | SkipReason:
    words = _NUMBER_BY_WORD_OF_DOMAIN.get(state.domain, _NUMBER_BY_WORD)
    number = words.get(state.state)
    if (
        number is None
        or state.domain in _MANY_WORDED_DOMAINS
        or any(option not in tuple(words) for option in _options(state))
    ):
        return SkipReason.TEXT
    return number


def _options(state: State) -> list[object]:
    """Return what an enum may say, of an attribute that may hold anything."""
    options = state.attributes.get("options")
    return options if isinstance(options, list) else []
