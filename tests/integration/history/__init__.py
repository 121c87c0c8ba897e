"""Tests of what is sent of the past, with Home Assistant's own recorder."""
