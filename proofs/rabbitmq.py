"""A cluster of RabbitMQ nodes on this machine, one of which can be killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import json
import os
from pathlib import Path
import secrets
import signal
import time

from demo.processes import StartError, free_port

NODES = ("ra", "rb", "rc")

# Not the commands on the path, which change the user and drop the environment.
_BIN = Path("/usr/lib/rabbitmq/bin")
_LIBRARIES = Path("/usr/lib/rabbitmq/lib")
_START_TIMEOUT_S = 120
_CALL_TIMEOUT_S = 60
_LOOK_EVERY_S = 0.05

_LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
_CONFIGURATION = """\
listeners.tcp = none
mqtt.listeners.tcp.default = 127.0.0.1:{port}
mqtt.allow_anonymous = true
"""

_SUBSCRIPTIONS = "^mqtt-subscription-"
_MIRRORED = {"ha-mode": "all", "ha-sync-mode": "automatic"}


@dataclass(frozen=True)
class Queue:
    """What waits for a subscriber.

    Attributes:
        node: which node keeps it for all.
        messages: how many.
        mirrors: how many other nodes have all of it.
    """

    node: str
    messages: int
    mirrors: int


class Cluster:
    """Three nodes that have joined, with MQTT and mirrored queues.

    Args:
        folder: takes all that they keep.

    Attributes:
        ports: where each of `NODES` takes MQTT on this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.ports = {name: free_port() for name in NODES}
        self._folder = folder
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_FLAGS": f"{_LOOPBACK_ONLY} -start_epmd false",
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all nodes until the block ends.

        Raises:
            StartError: they do not start, or find no way to each other.
        """
        try:
            _check_version()
            cookie = self._folder / ".erlang.cookie"
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
            await self._name_server()
            async with asyncio.TaskGroup() as starting:
                for name in NODES:
                    starting.create_task(self._start(name))
            first, *others = NODES
            for name in others:
                await self._control(name, "stop_app")
                await self._control(name, "join_cluster", _full_name(first))
                await self._control(name, "start_app")
            await self._control(
                first,
                "set_policy",
                "--apply-to",
                "queues",
                "mirrored",
                _SUBSCRIPTIONS,
                json.dumps(_MIRRORED),
            )
            yield
        finally:
            for name in [*reversed(self._processes)]:
                await self.kill(name)

    async def kill(self, name: str) -> None:
        """End a node at once, whatever it is doing."""
        process = self._processes.pop(name)
        # The virtual machine is a child of the script that was started.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def queue_of(self, client_id: str, asked: str) -> Queue | None:
        """Return what waits for a subscriber, or None if it has no session.

        Args:
            client_id: of the subscriber.
            asked: which node to ask.
        """
        told = await self._control(
            asked,
            "list_queues",
            "--no-table-headers",
            "name",
            "pid",
            "messages",
            "synchronised_slave_pids",
        )
        return read_queues(told).get(f"mqtt-subscription-{client_id}qos1")

    async def _name_server(self) -> None:
        """Start what nodes and commands find each other by, and wait until it answers.

        Raises:
            StartError: it does not in time.
        """
        await self._run("epmd", "/usr/bin/epmd", self._environment)
        port = self._environment["ERL_EPMD_PORT"]
        deadline = time.monotonic() + _CALL_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise StartError("Erlang's name server takes no connections")

    async def _start(self, name: str) -> None:
        """Start a node, and wait until it takes connections."""
        home = self._folder / name
        home.mkdir()
        configuration, plugins = home / "rabbitmq.conf", home / "enabled_plugins"
        configuration.write_text(_CONFIGURATION.format(port=self.ports[name]))
        plugins.write_text("[rabbitmq_mqtt].")
        await self._run(
            name,
            str(_BIN / "rabbitmq-server"),
            {
                **self._environment,
                "RABBITMQ_NODENAME": _full_name(name),
                "RABBITMQ_DIST_PORT": str(free_port()),
                "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
                "RABBITMQ_LOG_BASE": str(home / "log"),
                "RABBITMQ_PID_FILE": str(home / "pid"),
                "RABBITMQ_CONFIG_FILE": str(configuration),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            },
        )
        await self._control(
            name, "wait", "--timeout", str(_START_TIMEOUT_S), str(home / "pid")
        )

    async def _run(self, name: str, command: str, environment: dict[str, str]) -> None:
        """Start something that runs until it is killed."""
        self._processes[name] = await asyncio.create_subprocess_exec(
            command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _control(self, name: str, *arguments: str) -> str:
        """Tell a node to do something, and return what it says."""
        return await self._call(
            "rabbitmqctl", "--quiet", "--node", _full_name(name), *arguments
        )

    async def _call(self, command: str, *arguments: str) -> str:
        """Run a command of RabbitMQ.

        Raises:
            StartError: it failed, or did not end in time.
        """
        process = await asyncio.create_subprocess_exec(
            str(_BIN / command),
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S + _CALL_TIMEOUT_S):
                output, error = await process.communicate()
        except TimeoutError:
            raise StartError(f"{command} {arguments} took too long") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise StartError(f"{command} {arguments} failed: {error.decode()}")
        return output.decode()


def read_queues(told: str) -> dict[str, Queue]:
    """Read a list of queues: name, process, messages, and the mirrors' processes.

    A process is written as `<NODE@HOST.NUMBERS>`.
    """
    rows = (line.split("\t") for line in told.splitlines())
    return {
        name: Queue(
            process.removeprefix("<").partition("@")[0],
            int(messages),
            mirrors.count("@"),
        )
        for name, process, messages, mirrors in rows
    }


def _check_version() -> None:
    """See that there is a RabbitMQ which mirrors queues; the fourth does no more.

    Raises:
        StartError: there is none.
    """
    if not any(_LIBRARIES.glob("rabbitmq_server-3.*")):
        raise StartError("RabbitMQ 3 is not here. scripts/setup cluster gets it")


def _full_name(name: str) -> str:
    return f"{name}@localhost"
