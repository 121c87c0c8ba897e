"""A real Home Assistant core that exports its states, and what they are exported to."""
