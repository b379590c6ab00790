"""Batch jobs by hand and those of an endpoint: `invoke`, `job …`."""
