"""Report temperature, humidity and air pressure of a BME280 on a Raspberry Pi.

Wiring: VIN to 3.3 V (pin 1 of the Pi), GND to ground (pin 6), SDA to pin 3, SCL to pin 5.
Switch I2C on with `sudo raspi-config nonint do_i2c 0`.

    python3 -m venv --system-site-packages ~/sensors
    ~/sensors/bin/pip install "sensorvision[sync]" adafruit-circuitpython-bme280
    export SENSORVISION_URL=https://sensors.example.org
    export SENSORVISION_API_KEY=...      # the device's token
    export SENSORVISION_DEVICE_ID=attic
    ~/sensors/bin/python bme280.py
"""

import time

from adafruit_bme280 import basic as adafruit_bme280
import board

from sensorvision import SensorVisionClient, load_config

INTERVAL_S = 60
# 0x77 if the board's SDO is wired to 3.3 V.
ADDRESS = 0x76


def main() -> None:
    """Read and report until Ctrl-C."""
    config = load_config()
    device_id = config.require("device_id")
    sensor = adafruit_bme280.Adafruit_BME280_I2C(board.I2C(), address=ADDRESS)
    with (
        SensorVisionClient.from_config(config) as client,
        client.durable("bme280.db") as readings,
    ):
        while True:
            variables = {
                "temperature": round(sensor.temperature, 2),
                "humidity": round(sensor.relative_humidity, 2),
                "pressure": round(sensor.pressure, 2),
            }
            readings.put(device_id, variables)
            print(variables)
            time.sleep(INTERVAL_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped")
