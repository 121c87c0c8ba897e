"""Tests of the shared client: its protocol, its sockets, its outbox and its delivery."""
