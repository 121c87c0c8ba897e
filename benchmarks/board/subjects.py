"""What is measured: this port, the floor below it, and what the firmware brings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .client import Client
from .costs import compile_to
from .senders import (
    TOKEN,
    Servers,
    http_client,
    mqtt_client,
    raw_http_client,
    raw_mqtt_client,
    requests_client,
)


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: with its version.
        client: makes it for servers.
        is_ours: whether it is the project's own, which may not fail.
        has_files: whether its modules are files, not frozen into the firmware.
        has_tls: whether it is to be tried over TLS too.
    """

    name: str
    client: Callable[[Servers], Client]
    is_ours: bool = False
    has_files: bool = True
    has_tls: bool = True


def own_subjects(folder: Path) -> list[Subject]:
    """Return this port over each protocol, and the same without any library.

    Args:
        folder: where to put the port's bytecode.
    """
    port, empty = folder / "port", folder / "empty"
    for each in (port, empty):
        each.mkdir()
    compile_to(port)
    return [
        Subject(
            "this port, HTTP",
            lambda servers: http_client(port, servers.http_url, TOKEN, servers.ca),
            is_ours=True,
        ),
        Subject(
            "this port, MQTT QoS 1",
            lambda servers: mqtt_client(port, servers.mqtt_url, servers.ca),
            is_ours=True,
        ),
        Subject(
            "raw socket, HTTP, one write",
            lambda servers: raw_http_client(empty, servers),
            is_ours=True,
            has_files=False,
        ),
        Subject(
            "raw socket, HTTP, two writes",
            lambda servers: raw_http_client(empty, servers, writes=2),
            is_ours=True,
            has_files=False,
            has_tls=False,
        ),
        Subject(
            "raw socket, MQTT QoS 1",
            lambda servers: raw_mqtt_client(empty, servers),
            is_ours=True,
            has_files=False,
        ),
    ]


def firmware_subject(folder: Path) -> Subject:
    """Return `requests` as the firmware has it.

    Args:
        folder: an empty one.
    """
    return Subject(
        "requests 0.10.2, frozen",
        lambda servers: requests_client(folder, servers.http_url, TOKEN),
        has_files=False,
    )
