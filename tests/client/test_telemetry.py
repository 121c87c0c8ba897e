"""What goes over MQTT is what the server reads, however fast it is put together."""

import datetime as dt

from hypothesis import given, strategies as st
import pytest

from custom_components.sensorvision.client import Sample, ValidationError
from custom_components.sensorvision.client.readings import Entry, Reading
from custom_components.sensorvision.client.telemetry import (
    moment_payload,
    telemetry_payload,
)

from .servers import TOKEN

NAMES = st.text(min_size=1, max_size=20).filter(str.strip)
NUMBERS = st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e12, 1e12))


@given(
    st.dictionaries(NAMES, NUMBERS, min_size=1),
    st.floats(0, 4e9),
    st.sampled_from([None, TOKEN]),
)
def test_readings_of_one_moment_are_said_as_their_sample(
    variables: dict[str, int | float], at: float, token: str | None
) -> None:
    """To the byte, under whatever names."""
    moment = [
        Entry(number, Reading("dev.a", name, value, at))
        for number, (name, value) in enumerate(variables.items())
    ]
    sample = Sample("dev.a", variables, dt.datetime.fromtimestamp(at, dt.UTC))
    assert moment_payload(moment, token) == telemetry_payload(sample, token)


def test_moment_that_the_server_would_not_read_is_refused() -> None:
    moment = [Entry(1, Reading("d", "a", float("inf"), 0))]
    with pytest.raises(ValidationError):
        moment_payload(moment, TOKEN)
