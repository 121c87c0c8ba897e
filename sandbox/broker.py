"""The embedded MQTT broker.

It is amqtt, in this process: enough for a demonstration and a handful of devices. Under
load it loses messages and stalls (with 20 publishes in flight and one subscriber it
delivered 356 of 2,000). Where a broker such as Mosquitto can be had, give its URL instead.
"""

import logging
import socket

from amqtt.broker import Broker  # type: ignore[import-untyped]
from amqtt.errors import BrokerError  # type: ignore[import-untyped]

_PLUGINS = {
    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
}


class EmbeddedBroker:
    """An anonymous broker that can be stopped and started again on the same port."""

    def __init__(self, host: str, port: int) -> None:
        """Choose where to listen.

        Args:
            host: Address to listen on.
            port: Port, 0 for any free one.
        """
        self.host = host
        self.port = port or _free_port(host)
        self._broker: Broker | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether it takes connections."""
        return self._broker is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.ERROR)
        listener = {"type": "tcp", "bind": f"{self.host}:{self.port}"}
        broker = Broker({"listeners": {"default": listener}, "plugins": _PLUGINS})
        try:
            await broker.start()
        except BrokerError as err:
            raise OSError(
                f"the embedded MQTT broker cannot listen on {self.host}:{self.port}"
            ) from err
        self._broker = broker

    async def stop(self) -> None:
        """Close all connections and the port."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.shutdown()


def _free_port(host: str) -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
