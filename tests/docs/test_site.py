"""The browsable documentation is whole."""

from pathlib import Path
import shutil
import subprocess
from urllib.parse import unquote, urlsplit

from custom_components.sensorvision import client as package

from .conftest import ROOT
from .site import Page, documented_names

# Sphinx makes these, and leads to them from the search field or not at all.
GENERATED = {"genindex.html", "py-modindex.html", "search.html"}


def target(page: Page, link: str) -> tuple[Path, str] | None:
    """Return the file and the place in it that a link names, None if it leads away."""
    parts = urlsplit(link)
    if parts.scheme:
        return None
    path = page.path.parent / unquote(parts.path) if parts.path else page.path
    return path.resolve(), unquote(parts.fragment)


def test_every_public_name_is_in_the_reference(site: dict[str, Page]) -> None:
    names = documented_names(site["index.html"].path.parent / "objects.inv")
    public = {*package.__all__, *package._OF_EXTRAS}
    missing = {name for name in public if f"sensorvision.{name}" not in names}
    assert not missing, "Add them to a page of docs/reference"


def test_every_page_is_reached_from_the_first(site: dict[str, Page]) -> None:
    by_file = {page.path.resolve(): page for page in site.values()}
    start = site["index.html"].path.resolve()
    reached, due = {start}, [start]
    while due:
        page = by_file[due.pop()]
        found = {led[0] for link in page.links if (led := target(page, link))}
        due.extend((found & by_file.keys()) - reached)
        reached |= found
    unreached = {
        name for name, page in site.items() if page.path.resolve() not in reached
    }
    assert unreached <= GENERATED


def test_every_page_of_the_docs_is_on_the_site(site: dict[str, Page]) -> None:
    docs = ROOT / "docs"
    written = {
        str(path.relative_to(docs).with_suffix("")) for path in docs.rglob("*.md")
    }
    assert written == {name.removesuffix(".html") for name in site.keys() - GENERATED}


def test_links_inside_the_site_resolve(site: dict[str, Page]) -> None:
    anchors = {page.path.resolve(): page.anchors for page in site.values()}
    broken = []
    for name, page in site.items():
        for link in page.links:
            led = target(page, link)
            if led is None:
                continue
            path, place = led
            is_there = path.is_file() and (
                not place or path not in anchors or place in anchors[path]
            )
            if not is_there:
                broken.append(f"{name}: {link}")
    assert broken == []


def test_links_to_the_repository_name_files_that_there_are(
    site: dict[str, Page],
) -> None:
    prefix = "https://github.com/sensorvision-ha/sensorvision/blob/main/"
    named = {
        link.removeprefix(prefix).partition("#")[0]
        for page in site.values()
        for link in page.links
        if link.startswith(prefix)
    }
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_page_loads_nothing_from_elsewhere(site: dict[str, Page]) -> None:
    """So that it can be read where there is no network."""
    for page in site.values():
        assert page.loads
        for load in page.loads:
            led = target(page, load)
            assert led is not None, load
            assert led[0].is_file(), load


def test_what_is_warned_of_fails_the_build(tmp_path: Path) -> None:
    """Such as a link to a page that there is not."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("sensorvision", "cli", "scripts", "requirements", ".venv-docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    page = tmp_path / "docs" / "index.md"
    page.write_text(page.read_text() + "\n[gone](gone.md)\n")
    built = subprocess.run(
        [tmp_path / "scripts" / "docs"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode != 0
    warnings = [line for line in built.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "gone.md" in warnings[0]
