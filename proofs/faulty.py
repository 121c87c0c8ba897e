"""Let a sandbox fail, and be well again."""

import aiohttp

from demo.server import Server


async def set_fault(
    sensorvision: Server, name: str, seconds: float | None = None
) -> None:
    """Switch a fault on that hits every request until it is cleared.

    Args:
        sensorvision: a running sandbox.
        name: of the fault.
        seconds: its delay, if it is one that delays.
    """
    fault = {"name": name, "seconds": seconds}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.put(f"{sensorvision.url}/_sandbox/faults", json=fault),
    ):
        pass


async def clear_faults(sensorvision: Server) -> None:
    """Switch every fault off."""
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.delete(f"{sensorvision.url}/_sandbox/faults"),
    ):
        pass
