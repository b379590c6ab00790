"""What is scored: the rules of routes.toml. Pure: standard library and msgspec only."""
