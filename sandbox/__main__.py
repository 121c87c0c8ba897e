"""``python -m sandbox``: a SensorVision server on this machine."""

import argparse
import asyncio
from collections.abc import Sequence
import json
from pathlib import Path
import signal
import socket
import ssl
import sys
from urllib.parse import quote

from . import faults
from .fixtures import modes_of
from .sandbox import Sandbox
from .settings import EMBEDDED, DeviceSeed, Mode, Settings

_DEFAULT_PORT = 8085
_DEFAULT_MQTT_PORT = 1883


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A local SensorVision server."
    )
    listen = parser.add_argument_group("where it listens")
    listen.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
    listen.add_argument(
        "--port", type=int, default=_DEFAULT_PORT, help="0 for any (%(default)s)"
    )
    listen.add_argument(
        "--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help="serve HTTPS"
    )
    listen.add_argument(
        "--broker",
        default=EMBEDDED,
        metavar="URL",
        help="mqtt://HOST:PORT of a running broker, or 'none' (%(default)s)",
    )
    listen.add_argument(
        "--mqtt-port",
        type=int,
        default=_DEFAULT_MQTT_PORT,
        help="of the embedded broker, 0 for any (%(default)s)",
    )
    holds = parser.add_argument_group("what it holds")
    holds.add_argument("--database", type=Path, help="SQLite file that is kept")
    holds.add_argument("--fixtures", choices=("demo", "contract"), default="demo")
    holds.add_argument("--organization", default="Home", help="(%(default)s)")
    holds.add_argument("--user", type=_account, metavar="NAME:PASSWORD")
    holds.add_argument(
        "--device", type=_device, action="append", metavar="ID[:TOKEN]", default=[]
    )
    behaves = parser.add_argument_group("how it behaves")
    behaves.add_argument(
        "--mode", action="append", choices=[mode.value for mode in Mode], default=[]
    )
    behaves.add_argument(
        "--nginx", action="store_true", help="limit requests as the hosted site does"
    )
    behaves.add_argument(
        "--mqtt-auth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask for the device's token in MQTT messages",
    )
    behaves.add_argument(
        "--fault", type=_fault, action="append", metavar="NAME[:ARG]", default=[]
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser


def _account(text: str) -> tuple[str, str]:
    """Read ``NAME:PASSWORD``."""
    name, separator, password = text.partition(":")
    if not (name and separator and password):
        raise argparse.ArgumentTypeError("write it as NAME:PASSWORD")
    return name, password


def _device(text: str) -> DeviceSeed:
    """Read ``ID[:TOKEN]``."""
    device_id, _, token = text.partition(":")
    return DeviceSeed(device_id, token or None)


def _fault(text: str) -> faults.FaultArguments:
    """Read ``NAME[:ARG]``."""
    try:
        arguments = faults.parse(text)
        faults.Faults().set(**arguments)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    return arguments


def _settings(options: argparse.Namespace) -> Settings:
    """Turn the command line into settings."""
    ssl_context = None
    if options.tls:
        ssl_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ssl_context.load_cert_chain(*options.tls)
    username, password = options.user or ("demo", "demo-password")
    return Settings(
        fixtures=options.fixtures,
        broker=None if options.broker == "none" else options.broker,
        host=options.host,
        port=options.port,
        mqtt_port=options.mqtt_port,
        ssl_context=ssl_context,
        database=options.database,
        modes=modes_of(options.mode),
        mqtt_auth=options.mqtt_auth,
        nginx=options.nginx,
        organization=options.organization,
        username=username,
        password=password,
        devices=tuple(options.device) or (DeviceSeed("my-first-device"),),
    )


def _announcement(sandbox: Sandbox, options: argparse.Namespace) -> str:
    """Return what is printed when the server is ready."""
    addresses = {"http": sandbox.url, "mqtt": sandbox.mqtt_url}
    if options.fixtures == "contract":
        return json.dumps(addresses)
    account = sandbox.account()
    if options.json:
        return json.dumps({**addresses, **account})
    lines = [
        "SensorVision sandbox is ready.",
        "",
        f"  Live page and API   {sandbox.url}",
        *_on_the_network(sandbox, options.host),
        f"  MQTT broker         {sandbox.mqtt_url or 'off'}",
        f"  Account             {account['username']} / {account['password']}",
    ]
    if account["token"] is not None:
        device = quote(account["device"] or "", safe="")
        lines += [
            f"  Device              {account['device']}",
            f"  Device token        {account['token']}",
            "",
            "Send a first reading:",
            "",
            f"  curl {sandbox.url}/api/v1/ingest/{device} \\",
            f"    -H 'X-API-Key: {account['token']}' \\",
            "    -H 'Content-Type: application/json' \\",
            "    -d '{\"temperature\": 21.5}'",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops it."])


def _on_the_network(sandbox: Sandbox, host: str) -> list[str]:
    """Return where other machines find a server that listens on all addresses."""
    if host != "0.0.0.0":  # noqa: S104 - compared, not listened on
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system only says from which address it would be.
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        address = probe.getsockname()[0]
    return [f"  On your network     {sandbox.url.replace('127.0.0.1', address)}"]


async def _serve(options: argparse.Namespace) -> None:
    """Run until a signal ends it."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    sandbox = Sandbox(_settings(options))
    for arguments in options.fault:
        sandbox.faults.set(**arguments)
    async with sandbox:
        sys.stdout.write(_announcement(sandbox, options) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except (OSError, ValueError) as err:
        sys.stderr.write(f"The sandbox cannot start: {err}\n")
        if isinstance(err, OSError) and not isinstance(err, FileNotFoundError):
            sys.stderr.write("Choose other ports with --port and --mqtt-port.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
