"""The command line: `sensorvision`."""
