"""The integration in a real Home Assistant core, against a real local server."""
