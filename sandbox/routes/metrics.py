"""``/actuator/prometheus``: the latest values of all devices, without a login."""

import re

from sandbox.answers import Answer
from sandbox.context import Call
from sandbox.settings import product_name

_MAX_SERIES = 1000
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")
_CONTENT_TYPE = "text/plain;version=0.0.4;charset=utf-8"
_STATUSES = {"ONLINE": 1, "OFFLINE": 0}


def _label(text: str) -> str:
    """Escape a label's value."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


async def prometheus(call: Call) -> Answer:
    """Write the metrics in Prometheus' text format."""
    store, link = call.context.store, call.context.mqtt
    application = f'application="{product_name(call.context.state.modes)}"'
    lines = []
    for external_id, name, value in store.rows(
        "SELECT external_id, variables.name, last_value FROM variables"
        " JOIN devices ON devices.id = device_id"
        " WHERE last_value IS NOT NULL ORDER BY external_id, variables.name LIMIT ?",
        _MAX_SERIES,
    ):
        metric = f"iot_dynamic_{_NOT_IN_A_NAME.sub('_', name)}"
        labels = f'deviceId="{_label(external_id)}",variable="{_label(name)}"'
        lines.append(f"{metric}{{{application},{labels}}} {float(value)}")
    for device in store.devices():
        label = f'deviceId="{_label(device.external_id)}"'
        status = _STATUSES.get(device.status, -1)
        lines.append(f"iot_device_status{{{application},{label}}} {status}")
    received = link.received if link else 0
    lines.append(f"mqtt_messages_total{{{application}}} {received}")
    return Answer(200, ("\n".join(lines) + "\n").encode(), _CONTENT_TYPE)
