"""Draw how a sensor is wired to a board, from tables of their pins."""
