"""Commands about Landfall's own jobs: ledger, doctor, route."""
