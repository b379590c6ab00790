"""Landfall. docs/design.md has the rooms; import-linter (pyproject.toml) holds them apart."""
