"""The documentation builds, leads everywhere, and does what it says."""
