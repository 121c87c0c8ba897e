"""Stream readings over MQTT, and obey the commands that SensorVision sends.

The widgets of a SensorVision dashboard send commands: `set_value` with a variable and a
value, and `toggle`. This one takes a new interval: `set_value` of `interval_s`.

    pip install "sensorvision[mqtt]"
    export SENSORVISION_MQTT_HOST=broker.example.org
    export SENSORVISION_API_KEY=...      # the device's token
    export SENSORVISION_DEVICE_ID=fountain
    python mqtt_stream.py
"""

import asyncio
import math
import time

from sensorvision import Command, MQTTClient, load_config


class Fountain:
    """What is measured, and how often."""

    def __init__(self) -> None:
        """Begin with an interval of 10 seconds."""
        self.interval_s = 10.0

    def measure(self) -> dict:
        """Return what stands for a sensor here: a level that rises and falls."""
        level = 50 + 40 * math.sin(time.time() / 60)
        return {"level": round(level, 2), "interval_s": self.interval_s}

    def obey(self, command: Command) -> None:
        """Do what SensorVision says."""
        print(f"Told to {command.command}: {command.payload}")
        if (
            command.command == "set_value"
            and command.payload["variable"] == "interval_s"
        ):
            self.interval_s = max(0.1, float(command.payload["value"]))


async def stream(client: MQTTClient, device_id: str, fountain: Fountain) -> None:
    """Publish a reading after each interval."""
    while True:
        await client.stream_data(device_id, fountain.measure())
        await asyncio.sleep(fountain.interval_s)


async def listen(client: MQTTClient, device_id: str, fountain: Fountain) -> None:
    """Pass on each command."""
    async for command in client.commands(device_id):
        fountain.obey(command)


async def main() -> None:
    """Stream and obey until Ctrl-C."""
    config = load_config()
    device_id = config.require("device_id")
    fountain = Fountain()
    async with MQTTClient.from_config(config) as client:
        await asyncio.gather(
            stream(client, device_id, fountain), listen(client, device_id, fountain)
        )


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("Stopped")
