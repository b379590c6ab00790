"""Deterministic simulation of the product's use cases; docs/reliability.md says what it proves."""
