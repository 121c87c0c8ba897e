"""What is promised of readings, shown to be so: `scripts/prove NAME`."""
