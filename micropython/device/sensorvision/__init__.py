"""Report what a board's sensors measure to a SensorVision server."""

__version__ = "0.1.0"
