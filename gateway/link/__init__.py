"""The regional link: an encrypted, multiplexed, self-healing wire between gateways. docs/protocols/link.md

codec.py, column_*.py     batches of fixed records, packed by columns and unpacked within bounds (docs/protocols/link-compression.md)

key_service.py            what a key service gives: wrapped secrets, certificates, revocation (docs/protocols/link-keys.md)
keyring.py, day_keys.py   the keys a process holds: read at once, fetched beside the hot path by keyring_refresher.py
"""
