"""What a reading costs plain Python, beside what else sends to SensorVision."""
