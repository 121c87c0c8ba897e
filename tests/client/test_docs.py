"""The guide of the client names what there is, and its examples work."""

import inspect
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.sensorvision import client as package
from custom_components.sensorvision.client import SensorVisionError
from sandbox import Sandbox
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD

GUIDE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def test_every_exception_is_in_the_table() -> None:
    """And none that there is not."""
    told = set(re.findall(r"^\| `(\w+Error)`", GUIDE, re.MULTILINE))
    raised = {
        name
        for name in package.__all__
        if inspect.isclass(found := getattr(package, name))
        and issubclass(found, SensorVisionError)
    }
    assert told | {"SensorVisionError"} == raised


@pytest.mark.parametrize("name", re.findall(r"`(\w+)`", GUIDE.split("## Exc")[0]))
def test_every_name_is_there(name: str) -> None:
    """A method, an argument or a fact."""
    arguments = inspect.signature(package.AsyncSensorVisionClient).parameters
    assert (
        hasattr(package.AsyncSensorVisionClient, name)
        or hasattr(package, name)
        or name in arguments
        or name in ("aiohttp", "None")
    )


async def test_examples_work(sandbox: Sandbox) -> None:
    """As they stand, but for the server and the credential."""
    first = EXAMPLES[0].replace("https://sensors.example.org", sandbox.url)
    names: dict[str, Any] = {}
    exec(first.replace("asyncio.run(main())", ""), names)
    await names["main"]()
    exec(EXAMPLES[1] + EXAMPLES[2], names)
    assert await names["send_the_last_hour"](sandbox.url, ALICE_KEY) == []
    found = await names["name_the_temperature"](sandbox.url, "alice", ALICE_PASSWORD)
    assert set(found) == {"temperature", "humidity"}
    assert len(sandbox.store.values("greenhouse")) == 62
