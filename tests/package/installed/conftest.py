"""Where the servers are that the installed package is tried against.

What is in this folder knows nothing of the repository: it is copied out of it and run by
the Python that the package is installed into, which may be 3.8.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest


class Servers(NamedTuple):
    """A server, a broker that it listens to, and who may send to them.

    Attributes:
        url: the server's.
        token: of the device dev-a.
        username: of an account.
        password: of that account.
        broker_port: of the broker on this machine.
    """

    url: str
    token: str
    username: str
    password: str
    broker_port: int


@pytest.fixture(scope="session")
def servers() -> Servers:
    """Return the servers that run beside these tests."""
    told = Path(__file__).with_name("servers.json").read_text(encoding="utf-8")
    return Servers(**json.loads(told))
