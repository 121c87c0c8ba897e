"""What is installed is whole, and knows what it is."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import metadata, version
from pathlib import Path
import pkgutil
import re
import sys

import pytest
import sensorvision_cli

import sensorvision
from sensorvision.version import user_agent


def modules() -> list[str]:
    """Name every module that runs on this machine, not on a board."""
    return [
        found.name
        for package in (sensorvision, sensorvision_cli)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith(".__main__")
    ]


def test_it_is_imported_from_where_it_is_installed() -> None:
    for package in (sensorvision, sensorvision_cli):
        assert Path(sys.prefix) in Path(package.__file__ or "").parents


def test_version_is_that_of_the_distribution() -> None:
    assert sensorvision.__version__ == version("sensorvision")


def test_revision_is_that_of_a_commit() -> None:
    assert re.fullmatch("[0-9a-f]{7,40}", sensorvision.build_info().revision)
    assert f" ({sensorvision.build_info().revision}) CPython/3." in user_agent()


def test_type_checkers_are_told_of_its_types() -> None:
    assert Path(sensorvision.__file__ or "").with_name("py.typed").exists()


def test_index_is_told_which_pythons_it_runs_on() -> None:
    told = metadata("sensorvision")
    assert told["Requires-Python"] == ">=3.8"
    assert set(told.get_all("Provides-Extra") or ()) == {
        "all",
        "board",
        "cli",
        "mqtt",
        "sync",
    }


@pytest.mark.parametrize("name", modules())
def test_every_module_is_imported(name: str) -> None:
    assert import_module(name).__name__ == name


def test_every_public_name_is_there() -> None:
    names = {*sensorvision.__all__, *dir(sensorvision)}
    missing = [name for name in names if not hasattr(sensorvision, name)]
    assert {"SensorVisionClient", "MQTTClient", "AsyncSensorVisionClient"} <= names
    assert missing == []
