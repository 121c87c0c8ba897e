"""Measure what the project promises, beside what else people could use."""
