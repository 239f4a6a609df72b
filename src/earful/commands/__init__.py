"""The groups of commands; ``earful.cli`` puts them together."""
