"""Start the node, and start it again whatever happens."""

from sensorvision.start import run

run()
