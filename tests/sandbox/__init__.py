"""Tests of the local SensorVision server."""
