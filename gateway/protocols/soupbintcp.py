"""SoupBinTCP 4.00: the session protocol under OUCH on TCP; every packet type, exact codec and stream splitting.

Beside the corridor: venues over TCP and `gateway decode` use it. Hard rule: a stream is cut into packets by their own
lengths only; what a partial packet will be is not guessed.

    packet   [ length: 2, counts type and payload ][ type: 1 ][ payload … ]

Each letter means one packet whichever side sends it. The specification lists the packets without numbering them finer
than "sent by the server" and "sent by the client".
"""

from typing import Any

from gateway.protocols.message import ALPHA, CHARACTER, DIGITS, Message, Refused, decode_fields, encode_fields, make_message

LENGTH_BYTES = 2
HEADER_BYTES = 3

_SESSION = ("session", 10, ALPHA)
_TABLE: list[tuple[str, str, str, list[tuple[str, int, str]]]] = [
    ("+", "Debug", "both", []),
    ("A", "Login Accepted", "server", [_SESSION, ("sequence_number", 20, DIGITS)]),
    ("J", "Login Rejected", "server", [("reject_reason_code", 1, CHARACTER)]),
    ("S", "Sequenced Data", "server", []),
    ("H", "Server Heartbeat", "server", []),
    ("Z", "End of Session", "server", []),
    (
        *("L", "Login Request", "client"),
        [
            *[("username", 6, ALPHA), ("password", 10, ALPHA)],
            *[("requested_session", 10, ALPHA), ("requested_sequence_number", 20, DIGITS)],
        ],
    ),
    ("U", "Unsequenced Data", "client", []),
    ("R", "Client Heartbeat", "client", []),
    ("O", "Logout Request", "client", []),
]
MESSAGES: dict[str, Message] = {type_: make_message(type_, *row) for type_, *row in _TABLE}  # type: ignore[arg-type]
BY_KEY: dict[str, Message] = {message.key: message for message in MESSAGES.values()}

# Packets whose payload is somebody else's: decoded as `payload`, bytes.
CARRIERS = ("+", "S", "U")
SEQUENCED, UNSEQUENCED, LOGIN_ACCEPTED = "S", "U", "A"
HEARTBEATS = ("H", "R")


def decode(packet: bytes) -> dict[str, Any]:
    """One packet without its length word: `message`, fields, and `payload` where it carries one. Refuses (ValueError)."""
    message = MESSAGES.get(chr(packet[0])) if packet else None
    if message is None:
        raise Refused("message_unknown", f"SoupBinTCP has no packet type {packet[:1]!r}")
    if message.type in CARRIERS:
        return {"message": message.name, "payload": packet[1:]}
    if len(packet) != message.size:
        raise Refused("message_length", f"{message.name} of {len(packet)} bytes instead of {message.size}")
    return {"message": message.name, **decode_fields(message, packet)}


def encode(name: str, payload: bytes = b"", **values: Any) -> bytes:
    """One whole packet, its length word included, by type letter, name or key ("LoginRequest")."""
    message = MESSAGES.get(name) or BY_KEY.get(name.replace(" ", ""))
    if message is None:
        raise Refused("message_unknown", f"SoupBinTCP has no packet {name!r}")
    unknown = set(values) - {field.name for field in message.fields} - {"message"}
    if unknown or (payload and message.type not in CARRIERS):
        raise Refused("message_field", f"{message.name} has no field {min(unknown, default='payload')!r}")
    body = encode_fields(message, values) + payload
    if len(body) > 0xFFFF:
        raise Refused("message_length", f"{message.name} of {len(body)} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def split(stream: bytes) -> tuple[list[bytes], bytes]:
    """(whole packets without their length words, bytes of the packet still to come). Refuses a length of 0."""
    packets = []
    offset = 0
    while len(stream) - offset >= LENGTH_BYTES:
        length = int.from_bytes(stream[offset : offset + LENGTH_BYTES], "big")
        if length == 0:
            raise Refused("message_length", "a SoupBinTCP packet without a type")
        if len(stream) - offset - LENGTH_BYTES < length:
            break
        packets.append(stream[offset + LENGTH_BYTES : offset + LENGTH_BYTES + length])
        offset += LENGTH_BYTES + length
    return packets, stream[offset:]
