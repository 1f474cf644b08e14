"""The regional link."""
