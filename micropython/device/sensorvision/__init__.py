"""Report what a board's sensors measure to a SensorVision server."""
