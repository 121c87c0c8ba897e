"""Home Assistant's integration quality scale: each rule with evidence or a reason."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

import homeassistant.components
from homeassistant.util.yaml import load_yaml_dict
import pytest

from .test_guide import anchors
from .test_translations import FOLDER

ROOT = Path(__file__).parents[2]
RULES: dict[str, Any] = load_yaml_dict(str(FOLDER / "quality_scale.yaml"))["rules"]

SCALE = {
    "bronze": {
        *("action-setup", "appropriate-polling", "brands", "common-modules"),
        *("config-flow", "config-flow-test-coverage", "dependency-transparency"),
        *("docs-actions", "docs-conditions", "docs-high-level-description"),
        *("docs-installation-instructions", "docs-removal-instructions"),
        *("docs-triggers", "entity-event-setup", "entity-unique-id"),
        *("has-entity-name", "runtime-data", "test-before-configure"),
        *("test-before-setup", "unique-config-entry"),
    },
    "silver": {
        *("action-exceptions", "config-entry-unloading"),
        *("docs-configuration-parameters", "docs-installation-parameters"),
        *("entity-unavailable", "integration-owner", "log-when-unavailable"),
        *("parallel-updates", "reauthentication-flow", "test-coverage"),
    },
    "gold": {
        *("devices", "diagnostics", "discovery", "discovery-update-info"),
        *("docs-data-update", "docs-examples", "docs-known-limitations"),
        *("docs-supported-devices", "docs-supported-functions"),
        *("docs-troubleshooting", "docs-use-cases", "dynamic-devices"),
        *("entity-category", "entity-device-class", "entity-disabled-by-default"),
        *("entity-translations", "exception-translations", "icon-translations"),
        *("reconfiguration-flow", "repair-issues", "stale-devices"),
    },
    "platinum": {"async-dependency", "inject-websession", "strict-typing"},
}
"""The rules by tier, as of Home Assistant 2026.10."""

_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
_SECTION = re.compile(r"([\w/-]+\.md)#([\w-]+)")
_PLATFORMS = ("binary_sensor", "button", "event", "sensor", "switch")


def _tree(name: str) -> ast.Module:
    """Return what a module of the integration says."""
    return ast.parse((FOLDER / f"{name}.py").read_text())


def _calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Yield the calls of something in the integration, wherever it is called."""
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield path, node


def test_every_rule_is_there_and_no_other() -> None:
    """So that none is overlooked."""
    assert [len(rules) for rules in SCALE.values()] == [20, 10, 21, 3]
    assert RULES.keys() == set().union(*SCALE.values())


def test_rules_are_those_that_integrations_of_home_assistant_answer() -> None:
    """The installed core's best integrations have the same."""
    # They came later than the oldest supported version.
    new = {"docs-conditions", "docs-triggers"}
    core = Path(homeassistant.components.__file__).parent
    for domain in ("ntfy", "uptime_kuma"):
        theirs = load_yaml_dict(str(core / domain / "quality_scale.yaml"))["rules"]
        assert theirs.keys() | new == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_done_with_evidence_or_exempt_with_a_reason(rule: str) -> None:
    """Tests and sections that are cited exist."""
    answer = RULES[rule]
    assert answer.keys() == {"status", "comment"}
    assert answer["status"] in {"done", "exempt"}
    tests = _TEST.findall(answer["comment"])
    sections = _SECTION.findall(answer["comment"])
    reason = _SECTION.sub("", _TEST.sub("", answer["comment"]))
    assert tests or sections if answer["status"] == "done" else len(reason) > 20
    for path, name in tests:
        functions = {
            node.name
            for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, name
    for page, anchor in sections:
        assert anchor in anchors((ROOT / page).read_text()), anchor


def test_entities_share_one_base() -> None:
    """It is in entity.py, and says what all of them have."""
    for platform in _PLATFORMS:
        classes = [
            {ast.unparse(base) for base in node.bases}
            for node in _tree(platform).body
            if isinstance(node, ast.ClassDef) and "Description" not in node.name
        ]
        assert classes
        for bases in classes:
            assert bases & {"SensorVisionEntity", "StatusEntity", "ThrottledSensor"}


@pytest.mark.parametrize("platform", _PLATFORMS)
def test_each_platform_says_how_many_updates_run_at_once(platform: str) -> None:
    """None waits for another: nothing is fetched."""
    said = [
        ast.unparse(node.value)
        for node in _tree(platform).body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "PARALLEL_UPDATES"
    ]
    assert said == ["0"]


def test_platforms_are_all_that_there_are() -> None:
    """One that is added is looked at too."""
    added = {
        path.stem
        for path in FOLDER.glob("*.py")
        if "async_add_entities" in path.read_text()
    }
    assert added == set(_PLATFORMS)


def test_what_an_entry_runs_is_kept_with_it() -> None:
    """In its typed runtime data, and nothing in Home Assistant's common store."""
    sources = {path: path.read_text() for path in FOLDER.glob("*.py")}
    assert any("entry.runtime_data = Runtime(" in text for text in sources.values())
    assert [path for path, text in sources.items() if "hass.data" in text] == []


def test_each_error_that_people_see_can_be_translated() -> None:
    """By a key of the translations."""
    raised = [
        call
        for name in ("HomeAssistantError", "ServiceValidationError")
        for _, call in _calls(name)
    ]
    assert len(raised) > 4
    for call in raised:
        keywords = {keyword.arg for keyword in call.keywords}
        assert keywords >= {"translation_domain", "translation_key"}
        assert not call.args


def test_client_is_given_home_assistants_session() -> None:
    """Wherever one is made."""
    made = list(_calls("AsyncSensorVisionClient"))
    assert made
    for _, call in made:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given["session"].startswith("async_get_clientsession(hass")
    assert list(_calls("ClientSession")) == []
