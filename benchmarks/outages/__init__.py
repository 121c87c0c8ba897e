"""What becomes of readings in an outage, a stop and a kill, beside other exporters."""
