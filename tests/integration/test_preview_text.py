"""A preview in words and a table, as the flow shows it."""

import ast
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from homeassistant.core import HomeAssistant
from markdown_it import MarkdownIt

from custom_components.sensorvision import preview_text
from custom_components.sensorvision.mapping import SkipReason
from custom_components.sensorvision.mends import Mend, Mends
from custom_components.sensorvision.preview import Preview, Row, Skipped
from custom_components.sensorvision.preview_text import in_words

from .test_translations import MIRROR, TEXTS

_TAGS = {"p", "b", "strong", "br", "small", "i", "ul", "li"} | {
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


class _Page(HTMLParser):
    """The text, that of the table's cells, and all tags that there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._is_in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")
            self._is_in_cell = True
        elif tag == "br":
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "table"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._is_in_cell:
            self.cells[-1] += data


def _rendered(words: dict[str, str]) -> _Page:
    """Render what the flow shows, as the frontend does."""
    text = MIRROR["step"]["preview"]["description"].format(**words)
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    return _Page(markdown.render(text))


def _row(number: int) -> Row:
    return Row(
        f"sensor.s{number}",
        f"S {number}",
        None,
        "home.s",
        "s",
        1,
        None,
        Mends(None, None),
    )


_HOSTILE = "a|b *c* _d_ <b>e</b>\n\n| x | `f` [g](javascript:1) www.h.org &amp; {i} \\|"


async def test_table_shows_each_name_as_it_is(hass: HomeAssistant) -> None:
    """Whatever it is made of, and those first that could not be as they were."""
    rows = (
        replace(_row(1), name=_HOSTILE[:31], unit="<i>|m³"),
        replace(
            _row(2), name=_HOSTILE[31:], attribute="current_temperature", value=21.5
        ),
        replace(
            _row(3),
            device_id="home.x_2",
            variable="y" * 64,
            mends=Mends(Mend.TAKEN, None),
        ),
        replace(_row(4), variable="voltage_v", mends=Mends(None, Mend.RESERVED)),
    )
    page = _rendered(await in_words(hass, Preview(4, rows, (), ())))
    assert page.cells == [
        "S 3\n1",
        f"{'y' * 24}…{'y' * 24}\nhome.x_2 name taken",
        "S 4\n1",
        "voltage_v reserved name\nhome.s",
        "a|b *c* _d_ <b>e</b> | x | `f`\n1\xa0<i>|m³",
        "s\nhome.s",
        "[g](javascript:1) www.h.org &amp; {i} \\| (current temperature)\n21.5",
        "s\nhome.s",
    ]
    assert page.tags <= _TAGS


async def test_long_table_is_folded_and_ends_after_fifty_rows(
    hass: HomeAssistant,
) -> None:
    rows = tuple(
        replace(_row(number), device_id=f"home.d{number % 40}") for number in range(70)
    )
    words = await in_words(hass, Preview(99, rows, (), ()))
    assert (words["entities"], words["readings"], words["devices"]) == (
        "99",
        "70",
        "40",
    )
    assert len(words["rows"].splitlines()) == 10
    page = _rendered(words)
    assert page.cells[::2] == [f"S {number}\n1" for number in range(50)]
    assert "Show 40 more" in page.text
    assert "And 20 more readings" in page.text
    assert "takes 4 seconds" in page.text
    assert page.tags <= _TAGS | {"details", "summary"}


async def test_preview_speaks_the_language_of_the_home(hass: HomeAssistant) -> None:
    """Where a step is filled in with words, they are of the same language."""
    hass.config.language = "de"
    rows = (replace(_row(1), mends=Mends(Mend.TAKEN, None)),)
    words = await in_words(hass, Preview(1, rows, (), (), is_mirroring=False))
    assert "Name vergeben" in words["rows"]
    assert words["notes"].startswith("**Spiegeln ist ausgeschaltet**")


async def test_what_is_not_sent_is_listed_by_reason(hass: HomeAssistant) -> None:
    """In the order of the reasons, with the first ten names each."""
    skipped = (
        Skipped("sensor.m", "M *", None, SkipReason.OTHER_MIRROR, "Heat <1>"),
        Skipped("sensor.n", "N", None, SkipReason.OTHER_MIRROR, "Rest"),
        Skipped("light.l", "L", "brightness", SkipReason.NO_NUMBER),
        *(
            Skipped(f"sensor.u{number}", f"U{number}", None, SkipReason.UNKNOWN)
            for number in range(12)
        ),
    )
    words = await in_words(hass, Preview(15, (), skipped, ("sensor.gone", "attic")))
    page = _rendered(words)
    assert [line for line in page.text.splitlines() if line][-6:] == [
        "Not sent now: 15",
        "Unknown (12): U0, U1, U2, U3, U4, U5, U6, U7, U8, U9 and 2 more",
        "The attribute holds no number (1): L (brightness)",
        "Sent by the mirror Heat <1> (1): M *",
        "Sent by the mirror Rest (1): N",
        "No longer there, and left out: sensor.gone, attic.",
    ]


async def test_that_mirroring_is_off_is_told(hass: HomeAssistant) -> None:
    """Or one would wait in vain."""
    rows = (_row(1),)
    words = await in_words(hass, Preview(1, rows, (), (), is_mirroring=False))
    assert "Mirroring is switched off" in _rendered(words).text
    words = await in_words(hass, Preview(1, rows, (), ()))
    assert words["notes"] == ""


async def test_preview_is_in_the_language_of_the_home(hass: HomeAssistant) -> None:
    """English where there is no other text."""
    hass.config.language = "nl"
    words = await in_words(hass, Preview(0, (), (), ("attic",)))
    assert "attic" in words["notes"]


def test_preview_has_a_text_for_each_thing_to_say() -> None:
    """And none for nothing."""
    tree = ast.parse(Path(preview_text.__file__).read_text())
    said = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "say"
        and isinstance(node.args[1], ast.Constant)
    }
    assert TEXTS["selector"]["preview"]["options"].keys() == said
    assert TEXTS["selector"]["skip_reason"]["options"].keys() == set(SkipReason)
    assert TEXTS["selector"]["mend"]["options"].keys() == set(Mend)
