"""What the package does where it is installed; never run by the repository's own Python."""
