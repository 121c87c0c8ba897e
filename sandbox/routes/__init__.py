"""The endpoints of the server, a module for each family."""
