"""The sensors with their pins, and where each pin is wired to on each board."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sensor:
    """A sensor as it is sold.

    Attributes:
        key: names its pictures.
        title: what it is called in them.
        pins: its pins, from the top down.
        options: the key in the board's settings that names a pin's GPIO.
        pull_up: the resistor between data and 3V3, where one is needed.
        notes: what else to know, in lines.
    """

    key: str
    title: str
    pins: tuple[str, ...]
    options: dict[str, str]
    pull_up: str | None = None
    notes: tuple[str, ...] = ()


SENSORS = {
    sensor.key: sensor
    for sensor in (
        Sensor(
            "bme280",
            "BME280 or BMP280",
            ("VIN", "GND", "SCL", "SDA"),
            {"SCL": "scl", "SDA": "sda"},
            notes=("VIN may be called VCC or 3V3.", "Leave SDO and CSB free."),
        ),
        Sensor(
            "dht22",
            "DHT22 or DHT11",
            ("1 VCC", "2 DATA", "3", "4 GND"),
            {"2 DATA": "pin"},
            pull_up="10 kΩ",
            notes=("One on a small circuit board has the resistor already.",),
        ),
        Sensor(
            "ds18b20",
            "DS18B20",
            ("3 VDD", "2 DQ", "1 GND"),
            {"2 DQ": "pin"},
            pull_up="4.7 kΩ",
            notes=(
                "Cables: mostly red VDD, yellow DQ and black GND.",
                "Several may share these three pins, and one resistor.",
            ),
        ),
    )
}

type Place = tuple[str, int]
"""A side of a board, and the place in its row, counted from 1 at the top."""

WIRES: dict[tuple[str, str], dict[str, Place]] = {
    ("esp32", "bme280"): {
        "VIN": ("left", 1),
        "GND": ("right", 1),
        "SCL": ("right", 3),
        "SDA": ("right", 6),
    },
    ("esp32", "dht22"): {
        "1 VCC": ("left", 1),
        "2 DATA": ("right", 13),
        "4 GND": ("left", 14),
    },
    ("esp32", "ds18b20"): {
        "3 VDD": ("left", 1),
        "2 DQ": ("right", 9),
        "1 GND": ("left", 14),
    },
    ("esp32-s3", "bme280"): {
        "VIN": ("left", 1),
        "GND": ("right", 1),
        "SCL": ("right", 4),
        "SDA": ("right", 5),
    },
    ("esp32-s3", "dht22"): {
        "1 VCC": ("left", 1),
        "2 DATA": ("right", 6),
        "4 GND": ("right", 21),
    },
    ("esp32-s3", "ds18b20"): {
        "3 VDD": ("left", 1),
        "2 DQ": ("right", 7),
        "1 GND": ("right", 21),
    },
    ("esp32-c3", "bme280"): {
        "VIN": ("left", 2),
        "GND": ("right", 7),
        "SCL": ("right", 8),
        "SDA": ("right", 9),
    },
    ("esp32-c3", "dht22"): {
        "1 VCC": ("left", 2),
        "2 DATA": ("right", 11),
        "4 GND": ("right", 12),
    },
    ("esp32-c3", "ds18b20"): {
        "3 VDD": ("left", 2),
        "2 DQ": ("right", 10),
        "1 GND": ("right", 12),
    },
    ("pico-w", "bme280"): {
        "VIN": ("right", 5),
        "GND": ("right", 13),
        "SCL": ("right", 14),
        "SDA": ("right", 15),
    },
    ("pico-w", "dht22"): {
        "1 VCC": ("right", 5),
        "2 DATA": ("right", 12),
        "4 GND": ("right", 13),
    },
    ("pico-w", "ds18b20"): {
        "3 VDD": ("right", 5),
        "2 DQ": ("right", 16),
        "1 GND": ("right", 18),
    },
}
