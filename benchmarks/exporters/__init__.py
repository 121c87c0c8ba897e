"""Exporters of a Home Assistant core, side by side."""
