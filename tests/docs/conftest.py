"""The built site."""

from pathlib import Path
import subprocess

import pytest

from .site import Page, read_page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site() -> dict[str, Page]:
    """Build the site by its one command; return its pages by their paths in it."""
    built = subprocess.run(
        [ROOT / "scripts" / "docs"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    folder = ROOT / "build" / "site"
    return {
        str(path.relative_to(folder)): read_page(path)
        for path in folder.rglob("*.html")
    }
