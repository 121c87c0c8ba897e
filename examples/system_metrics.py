"""Report how busy this computer is, once a minute: processor, memory, disk, network.

pip install "sensorvision[sync]" psutil
export SENSORVISION_URL=https://sensors.example.org
export SENSORVISION_API_KEY=...      # the device's token
python system_metrics.py
"""

import socket
import time

import psutil

from sensorvision import SensorVisionClient, load_config

INTERVAL_S = 60


def measure() -> dict[str, float]:
    """Return this computer's figures."""
    network = psutil.net_io_counters()
    variables: dict[str, float] = {
        "cpu_percent": psutil.cpu_percent(interval=0.2),
        "memory_percent": psutil.virtual_memory().percent,
        "disk_percent": psutil.disk_usage("/").percent,
        "uptime_s": int(time.time() - psutil.boot_time()),
    }
    if network is not None:
        variables["sent_mb"] = round(network.bytes_sent / 1e6, 3)
        variables["received_mb"] = round(network.bytes_recv / 1e6, 3)
    return variables


def main() -> None:
    """Measure and report until Ctrl-C."""
    config = load_config()
    device_id = config.device_id or socket.gethostname().partition(".")[0]
    with (
        SensorVisionClient.from_config(config) as client,
        client.durable("metrics.db") as readings,
    ):
        while True:
            variables = measure()
            readings.put(device_id, variables)
            print(variables)
            time.sleep(INTERVAL_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped")
