"""What Home Assistant's hassfest and HACS ask of the folder and its files."""

import ast
from importlib import metadata
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
import homeassistant
from homeassistant.bootstrap import (
    CORE_INTEGRATIONS,
    DEFAULT_INTEGRATIONS,
    DEFAULT_INTEGRATIONS_RECOVERY_MODE,
    FRONTEND_INTEGRATIONS,
)
import homeassistant.components
from homeassistant.const import __version__ as HA_VERSION
from packaging.requirements import Requirement
from PIL import Image
import pytest
from yarl import URL

from custom_components import sensorvision
from custom_components.sensorvision.const import DOMAIN

FOLDER = Path(sensorvision.__file__).parent
ROOT = FOLDER.parents[1]
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text())
HACS: dict[str, Any] = json.loads((ROOT / "hacs.json").read_text())


def _pins(name: str) -> dict[str, str]:
    """Return the exact versions that a requirements file asks for."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return {
        match[1].lower(): match[2]
        for line in lines
        if (match := re.fullmatch(r"([\w.-]+)==([\w.]+)", line))
    }


def test_manifest_has_the_keys_that_hassfest_and_hacs_want() -> None:
    """All of the required ones, and none that is unknown."""
    assert MANIFEST.keys() >= {
        "domain",
        "name",
        "codeowners",
        "documentation",
        "issue_tracker",
        "version",
        "iot_class",
    }
    assert MANIFEST.keys() <= {
        "after_dependencies",
        "codeowners",
        "config_flow",
        "dependencies",
        "documentation",
        "domain",
        "integration_type",
        "iot_class",
        "issue_tracker",
        "loggers",
        "name",
        "quality_scale",
        "requirements",
        "version",
    }


def test_manifest_is_sorted_as_hassfest_wants_it() -> None:
    """Domain, name, then the alphabet."""
    rest = sorted(MANIFEST.keys() - {"domain", "name"})
    assert list(MANIFEST) == ["domain", "name", *rest]


def test_manifest_says_what_is_true() -> None:
    """The domain is the folder's, and the flow and the logger are there."""
    assert MANIFEST["domain"] == DOMAIN == FOLDER.name
    assert MANIFEST["config_flow"] is (FOLDER / "config_flow.py").exists()
    assert MANIFEST["loggers"] == [sensorvision.__name__]
    assert MANIFEST["integration_type"] == "service"
    assert MANIFEST["iot_class"] in {"cloud_push", "local_push"}
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])
    assert URL(MANIFEST["documentation"]).scheme == "https"
    assert URL(MANIFEST["issue_tracker"]).path.endswith("/issues")
    version = AwesomeVersion(
        MANIFEST["version"], ensure_strategy=[AwesomeVersionStrategy.SEMVER]
    )
    assert version.valid


def test_manifest_names_every_integration_that_is_imported() -> None:
    """But not entity platforms and those that a file is written for, as hassfest has it."""
    imported = {
        node.module.split(".")[2]
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("homeassistant.components.")
        and node.module
    }
    named = {*MANIFEST.get("dependencies", ()), *MANIFEST.get("after_dependencies", ())}
    written_for = {path.stem for path in FOLDER.glob("*.py")}
    assert written_for >= {str(platform) for platform in sensorvision.PLATFORMS}
    assert imported <= named | written_for


def test_client_needs_nothing_that_a_core_does_not_bring() -> None:
    """But what speaks MQTT, in a version that every core lets in."""
    [asked] = map(Requirement, MANIFEST["requirements"])
    assert asked.name == "aiomqtt"
    constraints = Path(homeassistant.__file__).with_name("package_constraints.txt")
    [allowed] = [
        Requirement(line)
        for line in constraints.read_text().splitlines()
        if line.startswith(asked.name)
    ]
    installed = metadata.version(asked.name)
    assert installed in asked.specifier
    assert installed in allowed.specifier
    # In a process of its own: this one has loaded all of Home Assistant.
    loaded = json.loads(
        subprocess.check_output(
            [sys.executable, "-c", _LOADED, *sorted(_modules_used())],
            cwd=ROOT,
            text=True,
        )
    )
    assert {"sensorvision.http", "sensorvision.mqtt"} <= set(loaded)
    assert not {"homeassistant", "requests", "urllib3"} & set(loaded)
    imported = {
        name.split(".")[0]
        for module in loaded
        if module.startswith("sensorvision.")
        for name in _imports((ROOT / module.replace(".", "/")).with_suffix(".py"))
    }
    third_party = imported & metadata.packages_distributions().keys()
    # The last has no part in a Python that runs a core.
    assert third_party <= {"aiohttp", "aiomqtt", "yarl", "tomli"}


_LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module("sensorvision." + name)
print(json.dumps(sorted(sys.modules)))
"""


def _modules_used() -> set[str]:
    """Return the modules of the client that the integration imports from."""
    return {
        node.module.removeprefix("client.")
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("client.")
        and node.module
    }


def _imports(path: Path) -> list[str]:
    """Return what a file imports by its whole name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(node.module or "")
    return found


def test_hacs_finds_what_it_wants() -> None:
    """Keys that it does not know are refused."""
    assert HACS["name"] == MANIFEST["name"]
    assert HACS.keys() <= {
        "name",
        "content_in_root",
        "country",
        "filename",
        "hacs",
        "hide_default_branch",
        "homeassistant",
        "persistent_directory",
        "render_readme",
        "zip_release",
    }
    assert not HACS["zip_release"] or HACS["filename"] == f"{DOMAIN}.zip"
    integrations = [
        path.name
        for path in (ROOT / "custom_components").iterdir()
        if (path / "manifest.json").exists()
    ]
    assert integrations == [DOMAIN]


def test_oldest_home_assistant_that_hacs_admits_is_the_one_that_is_tested() -> None:
    """Or one could install what was never tried."""
    assert HACS["homeassistant"] == _pins("oldest.in")["homeassistant"]


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("*.json")), ids=lambda path: path.name
)
def test_json_can_be_read_and_names_no_key_twice(path: Path) -> None:
    """Of two equal keys the first would be lost."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    assert json.loads(path.read_text(), object_pairs_hook=unique)


def test_icons_are_material_design_icons() -> None:
    """Others are refused."""
    icons = json.loads((FOLDER / "icons.json").read_text())
    assert icons.keys() == {"entity", "services"}
    for icon in icons["services"].values():
        assert icon.keys() == {"service"}
        assert re.fullmatch(r"mdi:[a-z0-9-]+", icon["service"])
    for entities in icons["entity"].values():
        for icon in entities.values():
            assert icon.keys() == {"default"}
            assert re.fullmatch(r"mdi:[a-z0-9-]+", icon["default"])


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_brand_icon_is_a_square_png_with_transparency(name: str, size: int) -> None:
    """In the sizes that Home Assistant's brands have, without an empty margin."""
    with Image.open(FOLDER / "brand" / name) as icon:
        assert icon.format == "PNG"
        assert icon.size == (size, size)
        alpha = icon.convert("RGBA").getchannel("A")
    assert alpha.getextrema()[0] == 0
    box = alpha.getbbox()
    assert box
    assert box[2] - box[0] == size or box[3] - box[1] == size


def test_typing_is_declared() -> None:
    """The client is a package of its own, too."""
    assert (FOLDER / "client" / "py.typed").exists()


def test_environment_holds_what_the_default_integrations_pin() -> None:
    """Without any of it the frontend of the demo would load for ever."""
    newest = _pins("ha.in")
    if newest.pop("homeassistant") != HA_VERSION:
        # The manifests that are installed are the oldest core's.
        assert _pins("oldest.in")["homeassistant"] == HA_VERSION
        return
    pinned = _pins_of_manifests(
        CORE_INTEGRATIONS
        | FRONTEND_INTEGRATIONS
        | DEFAULT_INTEGRATIONS
        | DEFAULT_INTEGRATIONS_RECOVERY_MODE
    )
    core = {
        re.split(r"[=<>;\s]", requirement, maxsplit=1)[0].lower()
        for requirement in metadata.requires("homeassistant") or ()
    }
    assert newest.items() <= pinned.items()
    assert pinned.keys() - newest.keys() <= core


def _pins_of_manifests(domains: set[str]) -> dict[str, str]:
    """Return what these integrations and those that they depend on require."""
    components = Path(homeassistant.components.__file__).parent
    seen: set[str] = set()
    pins: dict[str, str] = {}
    while domains := domains - seen:
        seen |= domains
        manifests = [
            json.loads((components / domain / "manifest.json").read_text())
            for domain in domains
        ]
        for manifest in manifests:
            domains = domains | set(manifest.get("dependencies", ()))
            for requirement in manifest.get("requirements", ()):
                name, _, version = requirement.partition("==")
                pins[name.lower()] = version
    return pins
