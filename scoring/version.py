"""The version of Landfall: here, and nowhere else.

The package's metadata, the log's line `started`, completion events and `--version` have it from here.
"""

VERSION = "0.2.0.dev0"
