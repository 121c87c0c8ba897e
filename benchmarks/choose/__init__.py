"""What choosing entities costs Home Assistant, beside what else chooses them."""
