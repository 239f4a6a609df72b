"""Tasks: what is asked, read from TOML files."""
