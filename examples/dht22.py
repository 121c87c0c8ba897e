"""Report temperature and humidity of a DHT22 on a Raspberry Pi, once a minute.

Wiring: pin 1 of the sensor to 3.3 V (pin 1 of the Pi), pin 2 to GPIO 4 (pin 7) and over
10 kOhm to 3.3 V, pin 4 to ground (pin 9).

    sudo apt install python3-libgpiod
    python3 -m venv --system-site-packages ~/sensors
    ~/sensors/bin/pip install "sensorvision[sync]" adafruit-circuitpython-dht
    export SENSORVISION_URL=https://sensors.example.org
    export SENSORVISION_API_KEY=...      # the device's token
    export SENSORVISION_DEVICE_ID=cellar
    ~/sensors/bin/python dht22.py
"""

import time

import adafruit_dht
import board

from sensorvision import SensorVisionClient, load_config

INTERVAL_S = 60
# The sensor measures at most every two seconds.
RETRY_S = 3


def main() -> None:
    """Read and report until Ctrl-C."""
    config = load_config()
    device_id = config.require("device_id")
    sensor = adafruit_dht.DHT22(board.D4)
    # What can't be sent now waits in this file, also while the Pi is off.
    with (
        SensorVisionClient.from_config(config) as client,
        client.durable("dht22.db") as readings,
    ):
        while True:
            try:
                variables = {
                    "temperature": sensor.temperature,
                    "humidity": sensor.humidity,
                }
            except RuntimeError as err:
                # One frame in some is lost on the wire; the next is as good.
                print(f"No reading: {err}")
                time.sleep(RETRY_S)
                continue
            readings.put(device_id, variables)
            print(variables)
            time.sleep(INTERVAL_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped")
