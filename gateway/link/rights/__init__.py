"""Who is let in, and to what. docs/protocols/link-tokens.md

access.py access_files.py who is let in: open_stream, renew, admit; what it stands on
tokens.py token_keys.py   180 bytes that say who asks for which stream in which session; token_store.py knows those used
token_source.py           a client's own tokens; counter_file.py, durable_floors.py: numbers that outlive the process
roles.py addresses.py     signed files (signed_file.py): who may read what, from where; reasons.py, grants.py, journal*.py

Hard rule: whatever is not granted is denied, and every answer is journalled.
"""
