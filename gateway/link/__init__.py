"""The regional link: an encrypted, multiplexed, self-healing wire between gateways. docs/protocols/link.md

codec.py, column_*.py     batches of fixed records, packed by columns and unpacked within bounds (docs/protocols/link-compression.md)
"""
