"""Put the port on a board from a PC; never runs on a board itself."""
