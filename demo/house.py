"""A small house for Home Assistant: what it is configured with and what lives in it."""

import json
from pathlib import Path
import shutil

from .processes import ROOT

LABEL = "Mirrored"

# They change by themselves every second, for as long as `RUNNING` is on.
RUNNING = "input_boolean.house_is_alive"
CHANGING = (
    "sensor.greenhouse_temperature",
    "sensor.greenhouse_humidity",
    "sensor.solar_power",
    "sensor.water_tank_level",
    "binary_sensor.garden_motion",
)

# The demo moves these through Home Assistant's own actions. Those of the registry carry
# the label; the lock is in no registry.
LABELLED = (
    "input_number.target_temperature",
    "light.bed_light",
    "switch.decorative_lights",
)
LOCK = "lock.kitchen_door"

CHOSEN = (*CHANGING, LOCK, *LABELLED)

_CONFIGURATION = """\
homeassistant:
  name: Demo house
  latitude: 52.37
  longitude: 4.9
  elevation: 2
  unit_system: metric
  time_zone: Europe/Amsterdam
  country: NL
  currency: EUR
  language: en

config:
demo:
frontend:
history:
logbook:
recorder:
  commit_interval: 5
system_health:
logger:
  default: warning
  logs:
    custom_components.sensorvision: info

input_boolean:
  house_is_alive:
    name: House is alive
    initial: true

input_number:
  target_temperature:
    name: Target temperature
    min: 15
    max: 25
    step: 0.5
    initial: 20

template:
  - triggers:
      - trigger: time_pattern
        seconds: "/1"
    conditions:
      - condition: state
        entity_id: input_boolean.house_is_alive
        state: "on"
    sensor:
      - name: Greenhouse temperature
        unique_id: greenhouse_temperature
        device_class: temperature
        state_class: measurement
        unit_of_measurement: "°C"
        state: "{{ (21 + 4 * sin(now().timestamp() / 40)) | round(2) }}"
      - name: Greenhouse humidity
        unique_id: greenhouse_humidity
        device_class: humidity
        state_class: measurement
        unit_of_measurement: "%"
        state: "{{ (60 + 15 * cos(now().timestamp() / 55)) | round(1) }}"
      - name: Solar power
        unique_id: solar_power
        device_class: power
        state_class: measurement
        unit_of_measurement: W
        state: "{{ (1500 + 900 * sin(now().timestamp() / 30)) | round | int }}"
      - name: Water tank level
        unique_id: water_tank_level
        state_class: measurement
        unit_of_measurement: L
        state: "{{ (now().timestamp() * 3) | int % 1000 }}"
    binary_sensor:
      - name: Garden motion
        unique_id: garden_motion
        device_class: motion
        state: "{{ now().second // 2 % 2 == 0 }}"
"""


def furnish(config_dir: Path, port: int, configuration: str = _CONFIGURATION) -> None:
    """Lay out a fresh configuration folder that serves on a port of loopback.

    Args:
        config_dir: the folder, which is emptied first.
        port: where to serve.
        configuration: what is in its configuration.yaml, by default the demo's house.
    """
    shutil.rmtree(config_dir, ignore_errors=True)
    storage = config_dir / ".storage"
    storage.mkdir(parents=True)
    (config_dir / "configuration.yaml").write_text(configuration)
    custom_components = config_dir / "custom_components"
    custom_components.mkdir()
    (custom_components / "sensorvision").symlink_to(
        ROOT / "custom_components" / "sensorvision"
    )
    # In YAML, `http:` is only tried for five minutes.
    _store(
        storage / "http",
        version=2,
        minor_version=2,
        data={
            "stable": {
                "server_port": port,
                "server_host": ["127.0.0.1"],
                "cors_allowed_origins": [],
                "login_attempts_threshold": -1,
                "ip_ban_enabled": True,
                "ssl_profile": "modern",
                "use_x_frame_options": True,
                "created_at": "2026-01-01T00:00:00+00:00",
                "error": None,
                "error_message": None,
            },
            "pending": None,
            "yaml_migration_done": True,
        },
    )
    # The other steps of onboarding want the internet.
    _store(
        storage / "onboarding",
        version=4,
        minor_version=1,
        data={"done": ["core_config", "analytics", "integration"]},
    )


def _store(
    path: Path, *, version: int, minor_version: int, data: dict[str, object]
) -> None:
    path.write_text(
        json.dumps(
            {
                "version": version,
                "minor_version": minor_version,
                "key": path.name,
                "data": data,
            }
        )
    )
