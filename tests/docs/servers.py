"""A server and a broker in place of those that the documentation shows."""

from ssl import SSLContext

from sandbox import DeviceSeed, Sandbox, Settings
from tests.brokers import Mosquitto, free_port

TOKEN = "11111111-1111-4111-8111-111111111111"
PASSWORD = "a-password"
DEVICE = "greenhouse"


def as_shown(broker: Mosquitto, context: SSLContext | None = None) -> Settings:
    """Return what a server has of which the documentation tells."""
    return Settings(
        broker=broker.url,
        ssl_context=context,
        username="alice",
        password=PASSWORD,
        devices=(DeviceSeed(DEVICE, TOKEN),),
    )


def as_here(text: str, sandbox: Sandbox, broker: Mosquitto) -> str:
    """Put the addresses of this test in place of those that the documentation shows."""
    here = {
        "https://sensors.example.org": sandbox.url,
        "http://192.168.1.5:8080": f"http://127.0.0.1:{free_port()}",
        '"broker.example.org"': f'"127.0.0.1", port={broker.port}',
        '"broker-1.example.org"': f'"127.0.0.1", port={free_port()}',
        '"broker-2.example.org"': f'"127.0.0.1", port={broker.port}',
    }
    for shown, real in here.items():
        text = text.replace(shown, real)
    return text
