"""The demo: real files are dropped, scored by real models, and the results are checked."""
