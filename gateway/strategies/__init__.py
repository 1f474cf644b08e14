"""Shipped strategies: files as a user would write them, each loadable by name of its path."""
