"""Secrets of the hour and the day, and who gives them. docs/protocols/link-keys.md

key_service.py            what a key service gives: wrapped secrets, certificates, revocation
keyring.py, day_keys.py   the keys a process holds: read at once, fetched beside the hot path by keyring_refresher.py
key_address.py            unix:, tls:, vault: in the configuration → keyd_client.py, or vault.py over vault_connection.py
keyd_server.py            gateway keyd: who is heard (keyd_access.py), one request (keyd_desk.py), its answer (keyd_vault.py)
sealed_root.py            what keyd derives all from, keyd_revocations.py beside it; static_key.py, secret_file.py: mode 0600

Hard rule: a secret stands in as few places as can be, is overwritten when its time is over, and is never shown.
"""
