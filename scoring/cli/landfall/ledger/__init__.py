"""`ledger …`: Landfall's jobs. `operators` and `replay` change them; `history` and `rows` read."""
