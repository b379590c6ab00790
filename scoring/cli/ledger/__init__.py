"""Landfall's jobs in an operator's hand: `ledger …`. `operators` changes, the others look."""
