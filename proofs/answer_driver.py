"""``python answer_driver.py sync|async``: send what each line says, and tell what came of it.

It runs in an environment of its own, where `sensorvision` may be either package, and
calls nothing but what both have.
"""

import asyncio
import gc
from importlib import import_module
import json
import sys
import time
from typing import Any

# Which package it is depends on the environment, so no type checker can know it.
sv: Any = import_module("sensorvision")

_FIRST_PAUSE_S = 0.05
_ATTEMPTS = 3
_SHOWN_CHARS = 300


def _settings(timeout_s: float) -> dict[str, Any]:
    """Return the same settings in the words of the package that is here."""
    if hasattr(sv, "RetryPolicy"):
        return {
            "timeouts": sv.Timeouts(timeout_s, timeout_s, timeout_s),
            "retry": sv.RetryPolicy(_ATTEMPTS, first_delay_s=_FIRST_PAUSE_S),
        }
    return {
        "timeout": timeout_s,
        "retry_attempts": _ATTEMPTS,
        "retry_delay": _FIRST_PAUSE_S,
    }


def _send(order: dict[str, Any]) -> None:
    with sv.SensorVisionClient(
        order["url"], api_key=order["token"], **_settings(order["timeout_s"])
    ) as client:
        client.send_data(order["device_id"], order["variables"])


async def _send_async(order: dict[str, Any]) -> None:
    async with sv.AsyncSensorVisionClient(
        order["url"], api_key=order["token"], **_settings(order["timeout_s"])
    ) as client:
        sending = asyncio.ensure_future(
            client.send_data(order["device_id"], order["variables"])
        )
        if order["cancel_after_s"] is None:
            await sending
            return
        await asyncio.sleep(order["cancel_after_s"])
        sending.cancel()
        await asyncio.wait([sending])
        if not sending.cancelled():
            raise RuntimeError("The sending was not cancelled")
        # The client is to be as good as new: the answer to the first is nobody's.
        await client.send_data(order["device_id"], {"after": 1})


def _told(order: dict[str, Any], error: Exception | None) -> dict[str, Any]:
    text = "" if error is None else f"{error} {error!r}"
    return {
        "outcome": "" if error is None else type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "text": text[:_SHOWN_CHARS],
        "tells_token": order["token"].strip() in text,
        "retry_after_s": getattr(error, "retry_after_s", None),
    }


def main() -> None:
    """Answer orders until standard input ends."""
    is_async = sys.argv[1] == "async"
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        # JSON has neither.
        for name, value in order["variables"].items():
            if value in ("NaN", "Infinity"):
                order["variables"][name] = float(value)
        begun = time.perf_counter()
        try:
            if is_async:
                asyncio.run(_send_async(order))
            else:
                _send(order)
        except Exception as err:  # noqa: BLE001 - whatever it is, it is the outcome
            told = _told(order, err)
        else:
            told = _told(order, None)
        told["seconds"] = time.perf_counter() - begun
        # What only an exception's traceback held on to is not left open.
        gc.collect()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
