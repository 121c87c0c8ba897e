"""Run the command: `python -m micropython.provision board flash`."""

from micropython.provision.cli import sensorvision

if __name__ == "__main__":
    sensorvision(prog_name="sensorvision")
