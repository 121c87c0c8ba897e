"""Send many measurements with the times at which they were taken, and see what became of each.

Times need a user key or an account; a device token can only say what is true now.

    pip install sensorvision
    export SENSORVISION_URL=https://sensors.example.org
    export SENSORVISION_USERNAME=... SENSORVISION_PASSWORD=...
    python async_batches.py measurements.csv

The file has a header: device,variable,value,time, the time as in 2026-11-28T12:00:00+00:00.
"""

import asyncio
from collections.abc import Iterator
import csv
from datetime import datetime
from pathlib import Path
import sys

from sensorvision import AsyncSensorVisionClient, load_config


def samples(path: Path) -> Iterator[dict]:
    """Read a file; the number of its line is each sample's id."""
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            yield {
                "id": f"line {number}",
                "device_id": row["device"],
                "variables": {row["variable"]: float(row["value"])},
                "timestamp": datetime.fromisoformat(row["time"]),
            }


async def main(path: Path) -> int:
    """Send a file and return how many of its lines were not stored."""
    async with AsyncSensorVisionClient.from_config(load_config()) as client:
        batch = await client.send_batch(samples(path), timeout=300)
    print(f"{batch.delivered} stored, {batch.failed} failed, {batch.not_sent} not sent")
    for result in batch.failures:
        print(f"{result.id}: {result.message}")
    return len(batch) - batch.delivered


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(Path(sys.argv[1]))) else 0)
