"""Count out on a light what is wrong."""

import asyncio


async def blink(pin, node) -> None:
    """Flash in a row as often as the number of the trouble says, for ever.

    Args:
        pin: the light's.
        node: the board's, with its `trouble`.
    """
    while True:
        for level in (1, 0) * node.trouble:
            pin(level)
            await asyncio.sleep_ms(200)
        await asyncio.sleep_ms(1500)
