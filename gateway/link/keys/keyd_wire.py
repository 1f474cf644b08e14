"""What keyd and its clients say to each other: one bounded message a request, one an answer.

    u32 length (little-endian) ‖ msgpack map        {"version": 1, "request": "wrapped", "name": "hourly", "period": 498123}
                                                    {"ok": true, "value": …} or {"ok": false, "reason": "REVOKED"}

Hard rule: length before bytes, form before meaning; a request has exactly its fields, of exactly their types.
"""

import struct
from typing import Any

import msgpack

from gateway import limits
from gateway.link.keys.key_service import KeyRefusal, KeyRefused

LENGTH = struct.Struct("<I")
VERSION = 1
FIELDS: dict[str, dict[str, type]] = {
    "wrapped": {"name": str, "period": int},
    "unwrap": {"wrapped": bytes},
    "certify": {"source": int, "public_key": bytes, "day": int},
    "authority": {"source": int},
    "revoke": {"name": str, "period": int},
}
VALUES: dict[str, type] = {"wrapped": bytes, "unwrap": bytes, "certify": bytes, "authority": dict, "revoke": int}
SOURCE_LAST = 65_535


def length_of(head: bytes) -> int:
    """Bytes that follow. Raises KeyRefused (TOO_LARGE, MALFORMED)."""
    length = int(LENGTH.unpack(head)[0])
    if length > limits.KEY_MESSAGE_BYTES_MAX:
        raise KeyRefused(KeyRefusal.TOO_LARGE)
    if length == 0:
        raise KeyRefused(KeyRefusal.MALFORMED)
    return length


def encode_request(request: str, **fields: Any) -> bytes:
    """A request with its length."""
    return _encode({"version": VERSION, "request": request, **fields})


def decode_request(data: bytes) -> tuple[str, dict[str, Any]]:
    """(request, fields). Raises KeyRefused (MALFORMED)."""
    message = _decode(data)
    request = message.pop("request", None)
    fields = FIELDS.get(request) if isinstance(request, str) else None
    if fields is None or message.pop("version", None) != VERSION or message.keys() != fields.keys():
        raise KeyRefused(KeyRefusal.MALFORMED)
    if any(type(message[name]) is not kind for name, kind in fields.items()):  # True is no number here
        raise KeyRefused(KeyRefusal.MALFORMED)
    if not 0 <= message.get("source", 0) <= SOURCE_LAST:
        raise KeyRefused(KeyRefusal.MALFORMED)
    return str(request), message


def encode_value(value: Any) -> bytes:
    """An answer that gives something."""
    return _encode({"ok": True, "value": value})


def encode_refusal(reason: KeyRefusal) -> bytes:
    """An answer that gives nothing."""
    return _encode({"ok": False, "reason": reason.name})


def decode_answer(request: str, data: bytes) -> Any:
    """The value. Raises KeyRefused: the service's reason, or FAULT for an answer that is none."""
    try:
        message = _decode(data)
    except KeyRefused:
        raise KeyRefused(KeyRefusal.FAULT, "its answer is none") from None
    if message.get("ok") is True and type(message.get("value")) is VALUES[request]:
        return message["value"]
    reason = message.get("reason")
    if message.get("ok") is False and isinstance(reason, str) and reason in KeyRefusal.__members__:
        raise KeyRefused(KeyRefusal[reason])
    raise KeyRefused(KeyRefusal.FAULT, "its answer is none")


def _encode(message: dict[str, Any]) -> bytes:
    body = msgpack.packb(message)
    return LENGTH.pack(len(body)) + body


def _decode(data: bytes) -> dict[str, Any]:
    """One map and nothing behind it; every part bounded before it is made."""
    texts = {"max_str_len": limits.KEY_TEXT_BYTES_MAX, "max_bin_len": limits.KEY_WRAPPED_BYTES_MAX}
    try:
        message = msgpack.unpackb(
            data, raw=False, strict_map_key=False, max_map_len=16, max_array_len=0, max_ext_len=0, **texts
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise KeyRefused(KeyRefusal.MALFORMED) from None
    if not isinstance(message, dict):
        raise KeyRefused(KeyRefusal.MALFORMED)
    return message
