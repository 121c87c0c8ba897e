"""Examples, run as users run them."""
