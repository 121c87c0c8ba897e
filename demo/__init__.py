"""The whole of it at work: Home Assistant, a board and a local SensorVision server."""
