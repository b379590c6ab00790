"""Landfall: scores the files that land in a datastore.

Three layers, each knowing only those above it; import-linter holds them apart:

* core, standard library and msgspec only: `landing`, `route`, `uris`, `job`, `decisions`,
  `completion`, `timing`, `errors`, `log`, `redaction`, `ports`;
* use cases, core and ports only: `submit`, `poll`, `finish`;
* edge, one outside thing each: `batch_endpoint`, `workspace`, `blob_ledger`, `landing_storage`,
  `event_grid`, `identity`, `settings`, `invocation`, `wiring`.
"""
