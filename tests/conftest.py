"""What every test of the project shares."""

import pytest


@pytest.fixture(autouse=True)
def _real_sockets(socket_enabled: None) -> None:
    """Let tests open sockets: the Home Assistant plugin forbids them, and allows only 127.0.0.1."""
