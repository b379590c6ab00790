"""Measurements: what a test cannot say because machines differ."""
