"""Send readings to a SensorVision server and lose none of them."""
