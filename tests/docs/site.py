"""Read what was built."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
import zlib


@dataclass
class Page:
    """A page of the site.

    Attributes:
        path: its file.
        links: where it leads.
        loads: what a browser fetches to show it.
        anchors: the places in it that a link can name.
        text: what a person reads.
    """

    path: Path
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag points at and what it is called."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self._page.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self._page.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self._page.loads.append(given["src"])
        if tag == "link" and given.get("rel") == "stylesheet":
            self._page.loads.append(given["href"])

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self._page.text += data


def read_page(path: Path) -> Page:
    """Return a page of the site."""
    page = Page(path)
    _Reader(page).feed(path.read_text())
    return page


def documented_names(inventory: Path) -> set[str]:
    """Return the Python names in a site's inventory.

    It is Sphinx's `objects.inv`, version 2: four lines, and then compressed ones that
    begin with a name and its domain and role.
    """
    compressed = inventory.read_bytes().split(b"\n", 4)[4]
    entries = (
        line.split() for line in zlib.decompress(compressed).decode().split("\n")
    )
    return {entry[0] for entry in entries if entry and entry[1].startswith("py:")}
