"""Every text that is asked for is there, none is there for nothing, all keep the rules."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
from string import Formatter
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigFlowContext,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME, CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import SelectSelector
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components import sensorvision
from custom_components.sensorvision import broker_connection, connection
from custom_components.sensorvision.const import (
    DOMAIN,
    SUBENTRY_TYPE_BROKER,
    SUBENTRY_TYPE_MIRROR,
)
from custom_components.sensorvision.problems import (
    ISSUE_DEVICE_REFUSED,
    ISSUE_READING_REFUSED,
    ISSUE_TARGET_MISSING,
    ISSUE_TOKEN_NEEDED,
)
from custom_components.sensorvision.removal import ISSUE_MIRROR_REMOVED
from sandbox import Sandbox

from .brokers import (
    BROKER_ID,
    MIRROR_ID,
    broker,
    choice_over,
    free_port,
    mirror_over,
)
from .conftest import ALICE, SetUp
from .house import until

FOLDER = Path(sensorvision.__file__).parent
TRANSLATIONS = FOLDER / "translations"
TEXTS: dict[str, Any] = json.loads((TRANSLATIONS / "en.json").read_text())
CONFIG: dict[str, Any] = TEXTS["config"]
MIRROR: dict[str, Any] = TEXTS["config_subentries"][SUBENTRY_TYPE_MIRROR]
BROKER: dict[str, Any] = TEXTS["config_subentries"][SUBENTRY_TYPE_BROKER]

MENUS = {
    "user": ["key", "account"],
    "reconfigure": ["reconfigure_key", "reconfigure_account"],
}

# hassfest's rules for a custom integration.
_STEP_PARTS = {
    "title",
    "description",
    "data",
    "data_description",
    "menu_options",
    "menu_option_descriptions",
    "sections",
    "submit",
}
_FLOW_PARTS = {"step", "error", "abort"}
_PLACEHOLDER_IN_QUOTES = re.compile(r"'\{[^}]*\}'")


def _walk(
    texts: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from _walk(value, (*path, key))
        else:
            yield (*path, key), value


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _by_path(texts: dict[str, Any]) -> dict[str, str]:
    return {".".join(path): text for path, text in _walk(texts)}


def _texts_in(language: str) -> dict[str, str]:
    return _by_path(json.loads((TRANSLATIONS / f"{language}.json").read_text()))


ENGLISH = _by_path(TEXTS)

# By what the frontend calls the menu item of an entry in each of them.
RECONFIGURE = {
    "en": "Reconfigure",
    "de": "Neu konfigurieren",
    "es": "Reconfigurar",
    "fr": "Reconfigurer",
    "nl": "Herconfigureer",
    "pt-BR": "Reconfigurar",
}
LANGUAGES = sorted(RECONFIGURE)
in_every_language = pytest.mark.parametrize("language", LANGUAGES)

# Names of our own that texts cite, by where they are.
_CITED = (
    "entity.switch.mirroring.name",
    "config_subentries.mirror.step.user.sections.more.name",
)
_MAY_BE_AS_IN_ENGLISH_WORDS = 3


def test_languages_are_those_that_are_promised() -> None:
    """And no other file is beside theirs."""
    assert {file.name for file in TRANSLATIONS.iterdir()} == {
        f"{language}.json" for language in LANGUAGES
    }


@in_every_language
def test_texts_keep_the_rules_of_home_assistant(language: str) -> None:
    """As hassfest has them for custom integrations."""
    for path, text in _texts_in(language).items():
        assert re.fullmatch(r"[a-z0-9-_.]+", path)
        assert text, path
        assert text == text.strip(), path
        assert not re.search(r"<\w|</", text), f"HTML in {path}"
        assert not re.search(r"https?://|www\.", text), f"URL in {path}"
        assert not _PLACEHOLDER_IN_QUOTES.search(text), path
        assert all(name.isidentifier() for name in _placeholders(text)), path
        assert "[%key:" not in text, path


@in_every_language
def test_every_language_has_the_texts_of_english_in_their_order(language: str) -> None:
    """So that none is shown in English, and that files can be laid side by side."""
    texts = _texts_in(language)
    assert not ENGLISH.keys() - texts.keys(), "missing"
    assert not texts.keys() - ENGLISH.keys(), "not in English"
    assert list(texts) == list(ENGLISH)


@in_every_language
def test_every_language_fills_in_and_marks_the_same(language: str) -> None:
    """A translation that lacks a placeholder would be replaced by the English."""
    texts = _texts_in(language)
    for path, english in ENGLISH.items():
        text = texts[path]
        assert _placeholders(text) == _placeholders(english), path
        for mark in ("**", "\n", "\n- ", "|"):
            assert text.count(mark) == english.count(mark), (path, mark)
        for name in re.findall(r"\S*[a-z*]_[a-z*]\S*", english):
            assert name.rstrip(".,") in text, path


@in_every_language
def test_what_a_text_cites_is_called_so_where_it_is_shown(language: str) -> None:
    """Or nobody finds it."""
    texts = _texts_in(language)
    cited = {ENGLISH[path]: texts[path] for path in _CITED}
    cited[RECONFIGURE["en"]] = RECONFIGURE[language]
    for name, translated in cited.items():
        citing = [
            path
            for path, english in ENGLISH.items()
            if re.search(rf"\*\*{name}\*\*|\bunder {name}\b", english)
        ]
        assert citing, name
        for path in citing:
            assert translated in texts[path], path


@pytest.mark.parametrize(
    "language", [language for language in LANGUAGES if language != "en"]
)
def test_no_sentence_is_left_in_english(language: str) -> None:
    """Single words can be the same in two languages."""
    texts = _texts_in(language)
    assert not [
        path
        for path, english in ENGLISH.items()
        if len(english.split()) > _MAY_BE_AS_IN_ENGLISH_WORDS and texts[path] == english
    ]


@in_every_language
@pytest.mark.usefixtures("sandbox")
async def test_home_assistant_takes_every_text_of_every_language(
    hass: HomeAssistant, set_up: SetUp, language: str
) -> None:
    """It would put the English in place of one that it finds fault with."""
    await set_up()
    texts = _texts_in(language)
    for category in TEXTS:
        taken = await async_get_translations(hass, language, category, {DOMAIN})
        assert taken == {
            f"component.{DOMAIN}.{path}": text
            for path, text in texts.items()
            if path.startswith(f"{category}.")
        }


def test_parts_are_those_that_home_assistant_knows() -> None:
    """Another one would be refused."""
    assert TEXTS.keys() <= {
        "config",
        "config_subentries",
        "entity",
        "exceptions",
        "issues",
        "options",
        "selector",
        "services",
        "system_health",
    }
    assert CONFIG.keys() <= _FLOW_PARTS
    for subentry in (MIRROR, BROKER):
        assert subentry.keys() <= _FLOW_PARTS | {"entry_type", "initiate_flow"}
        assert subentry["entry_type"]
        assert {"user", "reconfigure"} == subentry["initiate_flow"].keys()
    assert TEXTS["options"].keys() <= _FLOW_PARTS
    steps = [
        step
        for texts in (CONFIG, MIRROR, BROKER, TEXTS["options"])
        for step in texts["step"].values()
    ]
    for step in steps:
        assert step.keys() <= _STEP_PARTS
        assert step["title"]
        if step.keys() in (
            {"title", "description", "menu_options"},
            {"title", "description", "menu_options", "menu_option_descriptions"},
            {"title", "description", "submit"},
        ):
            continue
        assert step["data"].keys() == step["data_description"].keys()
        for part in step.get("sections", {}).values():
            assert part.keys() == {"name", "description", "data", "data_description"}
            assert part["data"].keys() == part["data_description"].keys()
    for issue in TEXTS["issues"].values():
        assert issue.keys() in ({"title", "description"}, {"title", "fix_flow"})
        assert issue.get("fix_flow", {}).keys() <= _FLOW_PARTS
        for step in issue.get("fix_flow", {}).get("step", {}).values():
            assert {"title", "description"} <= step.keys() <= _STEP_PARTS


async def _forms_of(
    hass: HomeAssistant, entry: MockConfigEntry, subentry_type: str, subentry_id: str
) -> list[SubentryFlowResult]:
    """Return the form for a new subentry, and that for one that is there."""
    return [
        await hass.config_entries.subentries.async_init(
            (entry.entry_id, subentry_type), context={"source": SOURCE_USER}
        ),
        await entry.start_subentry_reconfigure_flow(hass, subentry_id),
    ]


async def test_every_form_has_a_text_for_every_field(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """And what a text leaves open is filled in by the form."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(
        broker(free_port()),
        mirror_over(formed_by="mirror", entity_id=["sensor.tank"]),
        api_key="99999999-9999-4999-8999-999999999999",
    )
    await set_up(**ALICE | {CONF_PASSWORD: "wrong"})
    flows = hass.config_entries.flow
    await until(lambda: len(flows.async_progress_by_handler(DOMAIN)) == 2)
    config_forms = [
        await flows.async_configure(flow["flow_id"])
        for flow in flows.async_progress_by_handler(DOMAIN)
    ]
    sources: tuple[tuple[str, ConfigFlowContext], ...] = (
        ("user", {"source": SOURCE_USER}),
        ("reconfigure", {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}),
    )
    for step_id, context in sources:
        texts = CONFIG["step"][step_id]
        for option in texts["menu_options"]:
            menu = await flows.async_init(DOMAIN, context=context)
            assert menu["step_id"] == step_id
            assert menu["menu_options"] == MENUS[step_id]
            assert set(MENUS[step_id]) == texts["menu_options"].keys()
            described = texts.get("menu_option_descriptions", texts["menu_options"])
            assert described.keys() == texts["menu_options"].keys()
            assert _placeholders(texts["description"]) <= set(
                menu["description_placeholders"] or {}
            )
            config_forms.append(
                await flows.async_configure(menu["flow_id"], {"next_step_id": option})
            )
    subentries = hass.config_entries.subentries
    mirror_forms = await _forms_of(hass, entry, SUBENTRY_TYPE_MIRROR, MIRROR_ID)
    broker_forms = await _forms_of(hass, entry, SUBENTRY_TYPE_BROKER, BROKER_ID)
    asking = await entry.start_subentry_reconfigure_flow(hass, MIRROR_ID)
    await subentries.async_configure(
        asking["flow_id"],
        {CONF_NAME: "Tank"}
        | choice_over(BROKER_ID, "mirror", entity_id=["sensor.tank"]),
    )
    mirror_forms.append(
        await subentries.async_configure(asking["flow_id"], {"next_step_id": "save"})
    )
    options_forms = [await hass.config_entries.options.async_init(entry.entry_id)]
    for texts, forms in (
        (CONFIG, config_forms),
        (MIRROR, mirror_forms),
        (BROKER, broker_forms),
        (TEXTS["options"], options_forms),
    ):
        assert {form["step_id"] for form in forms} == {
            name for name, step in texts["step"].items() if "data" in step
        }
        for form in forms:
            step = texts["step"][form["step_id"]]
            assert form["data_schema"]
            schema = form["data_schema"].schema
            sections = {
                str(key): part.schema.schema
                for key, part in schema.items()
                if isinstance(part, section)
            }
            assert {str(key) for key in schema} - sections.keys() == step["data"].keys()
            assert sections.keys() == step.get("sections", {}).keys()
            for key, fields in sections.items():
                assert {str(field) for field in fields} == step["sections"][key][
                    "data"
                ].keys()
            given = set(form["description_placeholders"] or {})
            # Any of the errors may be shown at any of the forms with fields, but for that
            # of a token, which has one of its own.
            errors = [
                text
                for key, text in texts.get("error", {}).items()
                if not key.startswith("server_too_old") and form["step_id"] != "token"
            ]
            for text in (*(text for _, text in _walk(step)), *errors):
                assert _placeholders(text) <= given


def _errors_in_code() -> set[str]:
    """Return the keys of all errors that the flows can show."""
    found = {key for _, _, key in (*connection._ERRORS, *broker_connection._ERRORS)}
    trees = [
        ast.parse((FOLDER / f"{flow}.py").read_text())
        for flow in (
            "broker_connection",
            "connection",
            "mirror_flow",
            "mirror_form",
            "problems",
        )
    ]
    for node in (node for tree in trees for node in ast.walk(tree)):
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name("errors"))],
                value=ast.Constant(str(key)),
            ):
                found.add(key)
            case ast.Return(value=ast.Dict(values=[ast.Constant(str(key))])):
                found.add(key)
            case ast.Return(
                value=ast.Call(args=[_, ast.Dict(values=[ast.Constant(str(key))])])
            ):
                found.add(key)
            case ast.Call(func=ast.Name("TooOld"), args=[ast.Constant(str(key)), _]):
                found.add(key)
            case ast.Call(
                func=ast.Name("FieldError"), args=[_, ast.Constant(str(key))]
            ):
                found.add(key)
    return found


def test_errors_are_those_of_the_flows() -> None:
    """None without a text, no text without an error."""
    texts = CONFIG["error"].keys() | MIRROR["error"].keys() | BROKER["error"].keys()
    assert texts == _errors_in_code()
    assert not CONFIG["error"].keys() & MIRROR["error"].keys()
    assert MIRROR["error"].keys() == {
        "history_not_possible",
        "invalid_glob",
        "invalid_text",
        "invalid_token",
        "one_device_only",
        "target_empty",
        "target_unnamed",
    }


def test_question_about_clear_text_leads_back_to_every_form() -> None:
    """Whichever it was asked from."""
    forms = {option for options in MENUS.values() for option in options}
    options = CONFIG["step"]["clear_text"]["menu_options"].keys()
    assert options == forms | {"clear_text_accepted"}


def test_aborts_are_those_of_the_flows() -> None:
    """The core's own helpers end a flow with these."""
    assert CONFIG["abort"].keys() == {
        "already_configured",
        "reauth_successful",
        "reconfigure_successful",
    }
    assert MIRROR["abort"].keys() == {"reconfigure_successful"}
    assert BROKER["abort"].keys() == {"reconfigure_successful"}


@pytest.mark.usefixtures("sandbox")
async def test_entities_have_a_name_and_an_icon(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """From the texts, or from their device class."""
    entry = await set_up(broker(free_port()))
    keys = {
        (entity.domain, entity.translation_key)
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if entity.translation_key
    }
    icons = json.loads((FOLDER / "icons.json").read_text())
    for texts in (TEXTS, icons):
        assert keys == {
            (platform, key)
            for platform, keys_of_platform in texts["entity"].items()
            for key in keys_of_platform
        }


async def test_options_to_select_are_those_of_the_forms(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """A broker is offered by its name, which needs no text."""
    entry = await set_up(broker(free_port()))
    forms = [
        await hass.config_entries.subentries.async_init(
            (entry.entry_id, subentry_type), context={"source": SOURCE_USER}
        )
        for subentry_type in (SUBENTRY_TYPE_MIRROR, SUBENTRY_TYPE_BROKER)
    ]
    schemas = [form["data_schema"] for form in forms if form["data_schema"]]
    fields = [
        field
        for schema in schemas
        for part in schema.schema.values()
        for field in (
            part.schema.schema.values() if isinstance(part, section) else [part]
        )
    ]
    selects: dict[str, list[Any]] = {
        field.config["translation_key"]: list(field.config["options"])
        for field in fields
        if isinstance(field, SelectSelector) and "translation_key" in field.config
    }
    [over_http, over_broker] = selects["deliver_over"]
    assert over_broker == {"value": BROKER_ID, "label": "Mosquitto"}
    selects["deliver_over"] = [over_http["value"]]
    # The words of a preview have no other place.
    words = {"mend", "preview", "skip_reason"}
    assert selects.keys() | words == TEXTS["selector"].keys()
    for key, options in selects.items():
        assert set(options) == TEXTS["selector"][key]["options"].keys()


def test_issues_are_those_of_the_code() -> None:
    """None without a text, no text without an issue.

    That their placeholders are filled is seen where they are shown.
    """
    tree = ast.parse((FOLDER / "problems.py").read_text())
    shown = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("_create", "_show")
        and isinstance(node.args[0], ast.Constant)
    }
    named = {
        ISSUE_DEVICE_REFUSED,
        ISSUE_MIRROR_REMOVED,
        ISSUE_READING_REFUSED,
        ISSUE_TARGET_MISSING,
        ISSUE_TOKEN_NEEDED,
    }
    assert shown | named == TEXTS["issues"].keys()
