"""What the functions do: asynchronous, over ports; no Azure, no HTTP."""
