"""What stays as it is, whatever goes through: how late readings are, and memory."""
