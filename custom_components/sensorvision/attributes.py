"""Find the numbers that entities hold beside their states."""

from collections.abc import Iterator
import math

from homeassistant.const import DEGREE, PERCENTAGE, STATE_UNAVAILABLE, UnitOfLength
from homeassistant.core import State

from .client.protocol import VALUE_LIMIT

# Temperatures that have no unit of their own are in the home's.
_HOME_TEMPERATURE = ""

_KELVIN = "K"

# What Home Assistant documents as a number, with its unit or the attribute that has it.
_NUMERIC_ATTRIBUTES: dict[str, dict[str, str | None]] = {
    "climate": {
        "current_temperature": _HOME_TEMPERATURE,
        "temperature": _HOME_TEMPERATURE,
        "current_humidity": PERCENTAGE,
        "humidity": PERCENTAGE,
    },
    "cover": {"current_position": PERCENTAGE, "current_tilt_position": PERCENTAGE},
    "device_tracker": {
        "battery_level": PERCENTAGE,
        "gps_accuracy": UnitOfLength.METERS,
    },
    "fan": {"percentage": PERCENTAGE},
    "humidifier": {"current_humidity": PERCENTAGE, "humidity": PERCENTAGE},
    "light": {"brightness": None, "color_temp_kelvin": _KELVIN},
    "media_player": {"volume_level": None},
    "sun": {"elevation": DEGREE, "azimuth": DEGREE},
    "vacuum": {"battery_level": PERCENTAGE},
    "valve": {"current_position": PERCENTAGE},
    "water_heater": {
        "current_temperature": _HOME_TEMPERATURE,
        "temperature": _HOME_TEMPERATURE,
    },
    "weather": {
        "temperature": "temperature_unit",
        "humidity": PERCENTAGE,
        "pressure": "pressure_unit",
        "wind_speed": "wind_speed_unit",
        "wind_bearing": DEGREE,
        "cloud_coverage": PERCENTAGE,
        "dew_point": "temperature_unit",
        "uv_index": None,
        "visibility": "visibility_unit",
    },
}

# Each by its name in forms, which is that of a text in the translations.
ATTRIBUTES: tuple[str, ...] = tuple(
    f"{domain}-{attribute}"
    for domain, attributes in _NUMERIC_ATTRIBUTES.items()
    for attribute in attributes
)

# What a new mirror sends unless told otherwise.
SENSIBLE_ATTRIBUTES: tuple[str, ...] = (
    "climate-current_temperature",
    "climate-temperature",
    "climate-current_humidity",
    "cover-current_position",
    "fan-percentage",
    "humidifier-current_humidity",
    "light-brightness",
    "sun-elevation",
    "vacuum-battery_level",
    "valve-current_position",
    "water_heater-current_temperature",
    "water_heater-temperature",
    "weather-temperature",
    "weather-humidity",
    "weather-pressure",
    "weather-wind_speed",
)


def chosen_attributes(domain: str, chosen: frozenset[str]) -> Iterator[str]:
    """Yield the attributes of a domain that are chosen.

    Args:
        domain: an entity's.
        chosen: of `ATTRIBUTES`.
    """
    for attribute in _NUMERIC_ATTRIBUTES.get(domain, ()):
        if f"{domain}-{attribute}" in chosen:
            yield attribute


def number_of_attribute(state: State, attribute: str) -> int | float | None:
    """Return the number that an attribute holds, or None if it can't be sent."""
    number = state.attributes.get(attribute)
    if (
        state.state == STATE_UNAVAILABLE
        or isinstance(number, bool)
        or not isinstance(number, int | float)
        or not math.isfinite(number)
        or abs(number) >= VALUE_LIMIT
    ):
        return None
    return number


def unit_of_attribute(
    state: State, attribute: str, home_temperature_unit: str
) -> str | None:
    """Return the unit that a number beside a state is in, or None if it has none.

    Args:
        state: of the entity.
        attribute: one of its domain's.
        home_temperature_unit: of temperatures that say nothing of theirs.
    """
    unit = _NUMERIC_ATTRIBUTES[state.domain][attribute]
    if unit == _HOME_TEMPERATURE:
        return home_temperature_unit
    if unit and unit.endswith("_unit"):
        said = state.attributes.get(unit)
        return said if isinstance(said, str) else None
    return unit
