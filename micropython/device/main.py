"""Start the node, and start it again whatever happens."""

from sensorvision.node import run

run()
