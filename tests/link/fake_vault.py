"""A Vault for tests: the parts of its HTTP API that the link uses, with its paths, versions, tokens and words of refusal.

    /v1/TRANSIT/keys/NAME  datakey/{plaintext,wrapped}/NAME  decrypt/NAME  sign/NAME      derived AES keys, Ed25519 keys
    /v1/STORE/data/PATH    destroy/PATH  delete/PATH                                      KV version 2, check-and-set

After the API documentation of Vault 1.x and its sources' error texts. It is no library: it listens, and hvac speaks to it.
Faults are told to it: `sealed`, `fail_next` (a status and a body), `stall` (no answer), `forbidden` (paths of a policy).
"""

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.a-token-of-the-tests"
CREATED = "2026-01-05T10:20:00.000000000Z"


class Refused(Exception):
    """An answer that is an error: status and Vault's `errors`."""

    def __init__(self, status: int, *errors: str, data: dict[str, Any] | None = None):
        self.status, self.body = status, {"errors": list(errors)} if data is None else {"data": data}
        super().__init__(status, errors)


@dataclass
class TransitKey:
    """A named key and its versions, from 1."""

    kind: str  # aes256-gcm96, ed25519
    derived: bool = False
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    decryption_min: int = 1

    def secret(self, version: int, context: bytes) -> bytes:
        return (
            hmac.new(self.versions[version - 1], context, hashlib.sha256).digest()
            if self.derived
            else self.versions[version - 1]
        )


@dataclass
class Version:
    """One version of a value in the store."""

    data: dict[str, Any] | None
    deleted: str = ""
    destroyed: bool = False


class FakeVault:
    """Listens on loopback from the moment it is made."""

    def __init__(self, transit: str = "transit", store: str = "secret", context: ssl.SSLContext | None = None):
        self.transit, self.store = transit, store
        self.keys: dict[str, TransitKey] = {}
        self.values: dict[str, list[Version]] = {}
        self.tokens = {TOKEN}
        self.sealed, self.namespace = False, ""
        self.forbidden: list[str] = []  # patterns of METHOD path
        self.fail_next: list[tuple[int, bytes, str]] = []  # status, body, content type
        self.stall = threading.Event()
        self.stalled: str = ""  # pattern of METHOD path that gets no answer until `stall` is set
        self.requests: list[str] = []
        self.lock = threading.Lock()
        vault = self

        class Handler(_Handler):
            fake = vault

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.stall.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, token: str | None, body: dict[str, Any]) -> dict[str, Any] | None:
        """The `data` of an answer; None: 204."""
        if self.sealed:
            raise Refused(503, "Vault is sealed")
        if token not in self.tokens:
            raise Refused(403, "permission denied" if token else "missing client token")
        if any(re.fullmatch(pattern, f"{method} {path}") for pattern in self.forbidden):
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        mount, _, rest = path.partition("/")
        operation, _, name = rest.partition("/")
        if mount == self.transit:
            return self._transit(method, operation, name, body)
        if mount == self.store:
            return self._store(method, operation, name, body)
        raise Refused(404, f'no handler for route "{path}". route entry not found.')

    def _transit(self, method: str, operation: str, name: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if (method, operation) == ("GET", "keys"):
            return self._read_key(name)
        if method == "POST" and operation == "datakey":
            kind, _, name = name.partition("/")
            return self._datakey(kind, name, body)
        if method == "POST" and operation in ("decrypt", "sign"):
            return self._decrypt(name, body) if operation == "decrypt" else self._sign(name, body)
        raise Refused(405, "unsupported operation")

    def _read_key(self, name: str) -> dict[str, Any]:
        key = self.keys.get(name)
        if key is None:
            raise Refused(404)
        shown: dict[str, Any] = {}
        for version in range(key.decryption_min, len(key.versions) + 1):
            if key.kind != "ed25519":
                shown[str(version)] = 1767608400
                continue
            public = Ed25519PrivateKey.from_private_bytes(key.versions[version - 1]).public_key().public_bytes_raw()
            text = base64.b64encode(public).decode()
            shown[str(version)] = {"creation_time": CREATED, "name": "ed25519", "public_key": text}
        versions = {"latest_version": len(key.versions), "min_decryption_version": key.decryption_min}
        return {"name": name, "type": key.kind, "derived": key.derived, "keys": shown, **versions}

    def _datakey(self, kind: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind not in ("plaintext", "wrapped"):
            raise Refused(400, "Invalid path, must be 'plaintext' or 'wrapped'")
        key = self._key(name, "encryption key not found")
        bits = body.get("bits", 256)
        if bits not in (128, 256, 512):
            raise Refused(400, "invalid bit length")
        context, secret = self._context(key, body), os.urandom(bits // 8)
        version, nonce = len(key.versions), os.urandom(12)
        sealed = nonce + AESGCM(key.secret(version, context)).encrypt(nonce, secret, None)
        data = {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}", "key_version": version}
        return data | ({"plaintext": base64.b64encode(secret).decode()} if kind == "plaintext" else {})

    def _decrypt(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self._key(name, "encryption key not found")
        context, text = self._context(key, body), body.get("ciphertext", "")
        if not text:
            raise Refused(400, "missing ciphertext to decrypt")
        match = re.fullmatch(r"vault:v(\d+):(.*)", text, re.DOTALL)
        if match is None:
            raise Refused(400, "invalid ciphertext: no prefix" if not text.startswith("vault:v") else "invalid ciphertext")
        version = int(match[1])
        if version > len(key.versions):
            raise Refused(400, "invalid ciphertext: version is too new")
        if version < key.decryption_min:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            sealed = base64.b64decode(match[2], validate=True)
        except ValueError:
            raise Refused(400, "invalid ciphertext: could not decode base64") from None
        try:
            secret = AESGCM(key.secret(version, context)).decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, ValueError):
            raise Refused(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(secret).decode()}

    def _sign(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self._key(name, "signing key not found")
        if key.kind != "ed25519":
            raise Refused(400, f"key type {key.kind} does not support signing")
        version = int(body.get("key_version") or len(key.versions))
        if not 1 <= version <= len(key.versions):
            raise Refused(400, "requested version for signing is higher than the latest key version")
        signature = Ed25519PrivateKey.from_private_bytes(key.versions[version - 1]).sign(base64.b64decode(body["input"]))
        return {"signature": f"vault:v{version}:{base64.b64encode(signature).decode()}", "key_version": version}

    def _key(self, name: str, absent: str) -> TransitKey:
        if name not in self.keys:
            raise Refused(400, absent)
        return self.keys[name]

    def _context(self, key: TransitKey, body: dict[str, Any]) -> bytes:
        if not key.derived:
            return b""
        if not body.get("context"):
            raise Refused(400, "missing 'context' for key derivation; the key was created using a derived key")
        try:
            return base64.b64decode(body["context"], validate=True)
        except ValueError:
            raise Refused(400, "failed to base64-decode context") from None

    def _store(self, method: str, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        versions = self.values.get(path, [])
        if (method, operation) == ("GET", "data"):
            if not versions:
                raise Refused(404)
            latest = versions[-1]
            metadata = self._metadata(versions)
            if latest.deleted or latest.destroyed:
                raise Refused(404, data={"data": None, "metadata": metadata})
            return {"data": latest.data, "metadata": metadata}
        if method == "POST" and operation == "data":
            wanted = body.get("options", {}).get("cas")
            if wanted is not None and wanted != len(versions):
                raise Refused(400, "check-and-set parameter did not match the current version")
            self.values[path] = [*versions, Version(body["data"])]
            return self._metadata(self.values[path])
        if method == "POST" and operation == "destroy":
            for number in body["versions"]:
                versions[number - 1].data, versions[number - 1].destroyed = None, True
            return None
        raise Refused(405, "unsupported operation")

    def _metadata(self, versions: list[Version]) -> dict[str, Any]:
        latest = versions[-1]
        said = {"created_time": CREATED, "custom_metadata": None, "version": len(versions)}
        return {**said, "deletion_time": latest.deleted, "destroyed": latest.destroyed}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeVault
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one segment

    def _serve(self) -> None:
        fake, path = self.fake, self.path.partition("?")[0].removeprefix("/v1/")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        fake.requests.append(f"{self.command} {path}")
        if fake.stalled and re.fullmatch(fake.stalled, f"{self.command} {path}"):
            fake.stall.wait(10)
            self.close_connection = True
            return
        if fake.fail_next:
            self._send(*fake.fail_next.pop(0))
            return
        if self.headers.get("X-Vault-Request") != "true" or (self.headers.get("X-Vault-Namespace") or "") != fake.namespace:
            self._json(404, {"errors": ["no handler for route"]})
            return
        try:
            with fake.lock:
                data = fake.answer(self.command, path, self.headers.get("X-Vault-Token"), body)
        except Refused as refused:
            self._json(refused.status, refused.body)
            return
        if data is None:
            self._send(204, b"", "")
            return
        whole = {"request_id": "f4c3", "lease_id": "", "renewable": False, "lease_duration": 0, "data": data}
        self._json(200, {**whole, "wrap_info": None, "warnings": None, "auth": None})

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode() + b"\n", "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if status in (301, 307):
            self.send_header("Location", f"{self.fake.url}/v1/elsewhere")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: Any) -> None:
        """The test reads `requests`."""
