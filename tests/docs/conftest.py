"""The built site, and servers of which the documentation tells."""

from collections.abc import AsyncIterator
from pathlib import Path
import ssl
import subprocess

import pytest
import trustme

from sandbox import Sandbox
from tests.brokers import Mosquitto

from .servers import as_shown
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


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Run a broker."""
    mosquitto = Mosquitto(tmp_path)
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


@pytest.fixture
async def sandbox(broker: Mosquitto) -> AsyncIterator[Sandbox]:
    """Run a server that knows the device whose token the documentation shows."""
    async with Sandbox(as_shown(broker)) as running:
        yield running


@pytest.fixture
async def sandbox_with_tls(broker: Mosquitto, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """Run one with a certificate of the authority in `authority.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Sandbox(as_shown(broker, context)) as running:
        yield running
