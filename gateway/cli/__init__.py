"""The command `gateway VERB`: one file per verb, listed in main.py."""
