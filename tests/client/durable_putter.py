"""Put readings into a durable sender for ever, and print each that is committed.

Arguments are the server's URL, the user key, the file and the first number. The client is
the package `sensorvision`, as a user imports it.
"""

import sys

from sensorvision import Limits, SensorVisionClient


def _put(url: str, user_key: str, path: str, number: int) -> None:
    with (
        SensorVisionClient(url, user_key=user_key) as client,
        client.durable(path, limits=Limits(commit_interval_s=0)) as sender,
    ):
        while True:
            sender.put("dev-a", {"a": number})
            print(number, flush=True)  # noqa: T201
            number += 1


_put(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
