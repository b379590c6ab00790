"""Landfall's jobs in an operator's hand: `ledger …`.

`operators` and `replay` change, the others look.
"""
