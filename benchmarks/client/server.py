"""``python -m benchmarks.client.server``: a sandbox that says what it has stored.

It prints a line of JSON when it serves, and another for each line that it is sent.
"""

import argparse
import asyncio
import json
import sys
import time

from sandbox import Sandbox, Settings
from sandbox.settings import DeviceSeed

DEVICES = 20
USERNAME = "demo"
PASSWORD = "demo-password"  # noqa: S105


def device_id(number: int) -> str:
    """Return the id of one of the devices."""
    return f"bench-{number}"


def token_of(number: int) -> str:
    """Return the token of one of the devices; the first opens all of them over HTTP."""
    return f"11111111-1111-4111-8111-{number:012}"


async def _serve(options: argparse.Namespace) -> None:
    settings = Settings(
        broker=options.broker,
        username=USERNAME,
        password=PASSWORD,
        devices=tuple(
            DeviceSeed(device_id(number), token_of(number)) for number in range(DEVICES)
        ),
    )
    loop = asyncio.get_running_loop()
    async with Sandbox(settings) as sandbox:
        if options.away_ms:
            sandbox.faults.set("latency", seconds=options.away_ms / 1000)
        print(json.dumps({"url": sandbox.url}), flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            ((stored,),) = sandbox.store.rows("SELECT COUNT(*) FROM variable_values")
            print(
                json.dumps({"stored": stored, "cpu_s": time.process_time()}), flush=True
            )


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", help="mqtt://HOST:PORT of a running one")
    parser.add_argument(
        "--away-ms", type=float, default=0, help="how much later each answer comes"
    )
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
