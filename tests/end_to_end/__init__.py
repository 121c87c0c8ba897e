"""Tests of everything together."""
