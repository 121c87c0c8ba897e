"""What else sends readings from a board and a package registry offers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
import subprocess
import sys

from micropython.provision.build import cross_compile

from .client import Client
from .senders import MESSAGE, PATH, READING, TOKEN, TOPIC, Servers
from .subjects import Subject

_UMQTT_SIMPLE = {"micropython-umqtt.simple==1.3.4": "umqtt"}
_UMQTT_ROBUST = {**_UMQTT_SIMPLE, "micropython-umqtt.robust==1.0": "umqtt"}
_CHUMICRO = {
    "chumicro-sockets==0.21.3": "chumicro_sockets",
    "chumicro-timing==0.8.4": "chumicro_timing",
}

# Both are C on a board with Wi-Fi.
_FIRMWARE = """
import sys
class network:
    STA_IF = 0
    class WLAN:
        def __init__(self, interface): pass
        def isconnected(self): return True
class machine:
    def unique_id(): return b"unique"
sys.modules["network"] = network
sys.modules["machine"] = machine
"""

_TLS_CONTEXT = """
import ssl
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.verify_mode = ssl.CERT_REQUIRED
tls.load_verify_locations(cadata={ca!r})
"""


@dataclass(frozen=True)
class Peer:
    """What a registry offers.

    Attributes:
        name: with its version.
        packages: the top-level module that is wanted of each package.
        client: makes it for servers, from a folder with its bytecode.
        has_tls: whether it knows TLS.
    """

    name: str
    packages: Mapping[str, str]
    client: Callable[[Path, Servers], Client]
    has_tls: bool = True


def _umqtt(module: str) -> Callable[[Path, Servers], Client]:
    def client(modules: Path, servers: Servers) -> Client:
        tls = ", ssl=True" if servers.ca else ""
        make = f"MQTTClient('bench', {servers.host!r}, {servers.mqtt_port}{tls})"
        return Client(
            modules,
            f"from {module} import MQTTClient",
            connect=f"client = {make}\nclient.connect()",
            send=f"client.publish({TOPIC.encode()!r}, {MESSAGE!r}, qos=1)",
            close="client.disconnect()",
        )

    return client


def _uthingsboard(modules: Path, servers: Servers) -> Client:
    make = f"{servers.host!r}, {servers.mqtt_port}, {TOKEN!r}, qos=1"
    return Client(
        modules,
        "from uthingsboard.client import TBDeviceMqttClient",
        connect=f"client = TBDeviceMqttClient({make})\nclient.connect()",
        send=f"client.send_telemetry({READING}, qos=1)",
        close="client.disconnect()",
    )


def _mqtt_async(modules: Path, servers: Servers) -> Client:
    address = f"({servers.host!r}, {servers.mqtt_port})"
    return Client(
        modules,
        f"{_FIRMWARE}from mqtt_async import MQTTClient, config",
        # This port looks names up to bytes, of which it can't make a connection.
        connect=f"config.server, config.port = {address}\n"
        "client = MQTTClient(config)\n"
        f"client._dns_lookup = lambda: setattr(client, '_addr', {address})\n"
        "await client.connect()",
        send=f"await client.publish({TOPIC!r}, {MESSAGE!r}, qos=1)",
        close="await client.disconnect()",
        is_async=True,
    )


def _chumicro_requests(modules: Path, servers: Servers) -> Client:
    return Client(
        modules,
        "from chumicro_requests import HttpClient\n"
        "from chumicro_sockets.sockets_factory import connector_factory\n"
        "from chumicro_timing import ticks_ms",
        connect=f"{_tls(servers)}\n"
        "client = HttpClient(transport_factory=connector_factory(ssl_context=tls))",
        send=f"sent = client.post({servers.http_url + PATH!r}, json={READING}, "
        f"headers={{'X-API-Key': {TOKEN!r}}})\n"
        "while not sent.done:\n    if client.check(ticks_ms()):\n"
        "        client.handle(ticks_ms())\n"
        "if not sent.result.json()['success']:\n    raise OSError",
    )


def _chumicro_mqtt(modules: Path, servers: Servers) -> Client:
    broker = {"mqtt.broker.host": servers.host, "mqtt.broker.port": servers.mqtt_port}
    return Client(
        modules,
        "from chumicro_mqtt import MQTTClient\nfrom chumicro_timing import ticks_ms",
        connect=f"{_tls(servers)}\n"
        f"client = MQTTClient.from_config({broker!r}, ssl_context=tls)\n"
        "client.connect()",
        send=f"told = []\nclient.publish({TOPIC!r}, {MESSAGE!r}, qos=1, "
        "on_publish=lambda *_: told.append(True))\n"
        "while not told:\n    if client.check(ticks_ms()):\n"
        "        client.handle(ticks_ms())\n"
        "    if client.state == 'failed':\n        raise OSError",
        close="client.disconnect()",
    )


def _tls(servers: Servers) -> str:
    return _TLS_CONTEXT.format(ca=servers.ca) if servers.ca else "tls = None"


_PEERS = (
    Peer("umqtt.simple 1.3.4", _UMQTT_SIMPLE, _umqtt("umqtt.simple")),
    Peer("umqtt.robust 1.0", _UMQTT_ROBUST, _umqtt("umqtt.robust")),
    Peer(
        "uthingsboard 0.2.0",
        {**_UMQTT_ROBUST, "thingsboard-micropython==0.2.0": "uthingsboard"},
        _uthingsboard,
        has_tls=False,
    ),
    Peer(
        "mqtt_async 0.7b4",
        {"micropython-mqtt-async==0.7b4": "mqtt_async"},
        _mqtt_async,
        has_tls=False,
    ),
    Peer(
        "ChuMicro requests 0.21.3",
        {**_CHUMICRO, "chumicro-requests==0.21.3": "chumicro_requests"},
        _chumicro_requests,
    ),
    Peer(
        "ChuMicro MQTT 0.30.3",
        {
            **_CHUMICRO,
            "chumicro-config==0.7.7": "chumicro_config",
            "chumicro-mqtt==0.30.3": "chumicro_mqtt",
        },
        _chumicro_mqtt,
    ),
)


def fetched_subjects(folder: Path) -> tuple[list[Subject], dict[str, str]]:
    """Fetch peers from the package registry.

    Args:
        folder: where to put them.

    Returns:
        Those that could be had, and why the others could not.
    """
    found = []
    missing = {}
    for peer in _PEERS:
        modules = folder / peer.name
        try:
            for package, module in peer.packages.items():
                _fetch(package, module, modules)
        except OSError as err:
            missing[peer.name] = str(err)
        else:
            found.append(
                Subject(peer.name, _bound(peer, modules), has_tls=peer.has_tls)
            )
    return found, missing


def _bound(peer: Peer, modules: Path) -> Callable[[Servers], Client]:
    return lambda servers: peer.client(modules, servers)


def _fetch(package: str, module: str, modules: Path) -> None:
    """Compile one top-level module of a package into a folder.

    Raises:
        OSError: it is not to be had.
    """
    cache = modules.parent / f"{package}.cache"
    target = cache / "target"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("uv"),
            *("pip", "install", "--no-deps", "--target", target),
            *("--cache-dir", cache, package),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    # Old archives have no setup.py any more, so that no installer finishes; it has
    # unpacked them by then.
    roots = [target, *cache.glob("sdists-*/**/src")]
    sources = {
        path.relative_to(root): path
        for root in roots
        for path in root.rglob("*.py")
        # A link in one of them leads nowhere.
        if path.relative_to(root).parts[0].removesuffix(".py") == module
        and path.is_file()
    }
    if not sources:
        raise OSError(f"the registry did not give it: {done.stderr.strip()[-200:]}")
    for inside, source in sources.items():
        compiled = modules / inside.with_suffix(".mpy")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        cross_compile(source, compiled, str(inside))
