"""The MicroPython port: what goes onto a board, and what puts or plays one here."""
