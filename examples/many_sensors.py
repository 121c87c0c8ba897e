"""Report several sensors of one Raspberry Pi; one that fails does not silence the others.

A DHT22 and a BME280, wired as in dht22.py and bme280.py, and how well the Pi itself is.

    sudo apt install python3-libgpiod
    python3 -m venv --system-site-packages ~/sensors
    ~/sensors/bin/pip install "sensorvision[sync]" psutil \
        adafruit-circuitpython-dht adafruit-circuitpython-bme280
    export SENSORVISION_URL=https://sensors.example.org
    export SENSORVISION_API_KEY=...      # the device's token
    export SENSORVISION_DEVICE_ID=house
    ~/sensors/bin/python many_sensors.py
"""

from collections.abc import Callable
import time

from adafruit_bme280 import basic as adafruit_bme280
import adafruit_dht
import board
import psutil

from sensorvision import SensorVisionClient, load_config

INTERVAL_S = 60

Numbers = dict[str, float]


def cellar() -> Callable[[], Numbers]:
    """Return what reads the DHT22."""
    sensor = adafruit_dht.DHT22(board.D4)
    return lambda: {
        "cellar_temperature": sensor.temperature,
        "cellar_humidity": sensor.humidity,
    }


def attic() -> Callable[[], Numbers]:
    """Return what reads the BME280."""
    sensor = adafruit_bme280.Adafruit_BME280_I2C(board.I2C(), address=0x76)
    return lambda: {
        "attic_temperature": round(sensor.temperature, 2),
        "attic_pressure": round(sensor.pressure, 2),
    }


def computer() -> Callable[[], Numbers]:
    """Return what reads the Pi's own figures."""
    return lambda: {
        "memory_used_percent": psutil.virtual_memory().percent,
        "disk_used_percent": psutil.disk_usage("/").percent,
    }


def main() -> None:
    """Read and report until Ctrl-C."""
    config = load_config()
    device_id = config.require("device_id")
    sensors: dict[str, Callable[[], Numbers]] = {}
    with (
        SensorVisionClient.from_config(config) as client,
        client.durable("sensors.db") as readings,
    ):
        while True:
            for plug_in in (cellar, attic, computer):
                name = plug_in.__name__
                try:
                    if name not in sensors:
                        sensors[name] = plug_in()
                    variables = sensors[name]()
                # A lost frame, no chip at the address, a bus that fails: try again next time.
                except (RuntimeError, ValueError, OSError) as err:
                    print(f"{name}: {err}")
                    continue
                readings.put(device_id, variables)
                print(f"{name}: {variables}")
            time.sleep(INTERVAL_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped")
