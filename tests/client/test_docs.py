"""The guides of the client name what there is."""

import inspect
from pathlib import Path
import re

import pytest

from custom_components.sensorvision import client as package
from custom_components.sensorvision.client import SensorVisionError

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "client.md").read_text()
EXCEPTIONS = (DOCS / "exceptions.md").read_text()
WORDS = {"aiohttp", "None", "sensorvision", ".netrc"}


def names_in(text: str) -> list[str]:
    """Return what a guide writes as code and looks like a name, outside of blocks."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return sorted(set(re.findall(r"`([A-Za-z_]+)`", prose)) - WORDS)


def test_every_exception_is_in_the_table() -> None:
    """With its code, and none that there is not."""
    told = dict(re.findall(r"^\| `(\w+Error)` \| `(\w+)`", EXCEPTIONS, re.MULTILINE))
    raised = {
        name: found.code
        for name in package.__all__
        if inspect.isclass(found := getattr(package, name))
        and issubclass(found, SensorVisionError)
    }
    assert raised.pop("SensorVisionError") not in told.values()
    assert told == raised


@pytest.mark.parametrize("name", names_in(GUIDE))
def test_every_name_is_there(name: str) -> None:
    """A method, an argument or a fact."""
    client = package.AsyncSensorVisionClient
    callables = (client, client.send_batch, client.send_data, package.MQTTClient)
    facts = (package, client, package.Capabilities, package.ServerAge)
    assert any(hasattr(holder, name) for holder in facts) or any(
        name in inspect.signature(function).parameters for function in callables
    )
