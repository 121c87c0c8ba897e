"""A server that can be made to fail in every way that is known."""

import asyncio
from pathlib import Path
from random import choice
import secrets
import time

from sandbox import Sandbox, Settings
from sandbox.faults import DELAYS, DESCRIPTIONS
from sandbox.settings import DeviceSeed

STOPPED = "stopped"
REFUSED = "refused"
FAULTS = (
    *(name for name in DESCRIPTIONS if name != "broker_down"),
    STOPPED,
    REFUSED,
)
DEVICE_ID = "home"
USERNAME = "demo"

_PASSWORD = "demo-password"  # noqa: S105
_OTHER_PASSWORD = "another-password"  # noqa: S105

# Longer than the client waits.
_DELAY_S = 1.2
_PORT_DEADLINE_S = 5

# While a server is down, no connection of anybody's is given one of these.
_PORTS = range(20_000, 32_000)


class Server:
    """A sandbox with a database of its own.

    Args:
        database: a file.

    Attributes:
        token: of a device.
        password: of the account.
        requests: how many have arrived.
    """

    def __init__(self, database: Path) -> None:
        self.token = "11111111-1111-4111-8111-111111111111"  # noqa: S105
        self.password = _PASSWORD
        self._database = database
        self._port = 0
        self._sandbox: Sandbox | None = None
        self._requests_before = 0

    @property
    def url(self) -> str:
        """Return where it answers, also while it is down."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> int:
        """Return how many requests have arrived."""
        return self._requests_before + (
            len(self._sandbox.requests) if self._sandbox else 0
        )

    async def start(self) -> None:
        """Serve; the address stays the same."""
        deadline = time.monotonic() + _PORT_DEADLINE_S
        while True:
            port = self._port or choice(_PORTS)
            sandbox = Sandbox(
                Settings(
                    port=port,
                    database=self._database,
                    username=USERNAME,
                    password=_PASSWORD,
                    devices=(DeviceSeed(DEVICE_ID, self.token),),
                )
            )
            try:
                await sandbox.__aenter__()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                break
        self._sandbox = sandbox
        self._port = port

    async def stop(self) -> None:
        """Serve no more."""
        if self._sandbox:
            self._requests_before = self.requests
            sandbox, self._sandbox = self._sandbox, None
            await sandbox.close()

    async def begin(self, fault: str) -> None:
        """Let something go wrong.

        Args:
            fault: one of `FAULTS`.
        """
        if fault == STOPPED:
            await self.stop()
        elif fault == REFUSED:
            await self._change_credentials(secrets.token_hex(18), _OTHER_PASSWORD)
        elif self._sandbox:
            seconds = _DELAY_S if fault in DELAYS else None
            self._sandbox.faults.set(fault, seconds=seconds)

    async def end(self, fault: str) -> None:
        """Let it go wrong no more.

        Args:
            fault: one of `FAULTS`.
        """
        if fault == STOPPED:
            await self.start()
        elif fault == REFUSED:
            await self._change_credentials(self.token, _PASSWORD)
        elif self._sandbox:
            self._sandbox.faults.clear(fault)

    async def _change_credentials(self, token: str, password: str) -> None:
        """Give the device another token and the account another password.

        As the server forgets who has logged in only when it is set up anew, it is started
        again with a new secret.
        """
        if not self._sandbox:
            return
        connection = self._sandbox.store.connection
        connection.execute(
            "UPDATE devices SET api_token = ? WHERE external_id = ?",
            (token, DEVICE_ID),
        )
        connection.execute("UPDATE users SET password = ?", (password,))
        connection.execute(
            "UPDATE settings SET value = ? WHERE name = 'jwt_secret'",
            (secrets.token_hex(32),),
        )
        await self.stop()
        await self.start()
