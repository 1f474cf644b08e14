"""Writes tests/vectors/link.json: a handshake and frames with every key given, by the product.

python -m tests.link.wire_vectors

tests/link/test_wire_vectors.py asks a second implementation for the same bytes, so that the file cannot be wrong alone.
"""

import json
from pathlib import Path
from typing import Any

from gateway.link.frames import bodies, wire
from gateway.link.frames.handshake import Initiator, Responder
from gateway.link.frames.protection import Sealer
from gateway.link.frames.wire import Flag, Type
from gateway.link.peers import acknowledgement
from tests.link import wire_desk as desk

FILE = Path(__file__).resolve().parent.parent / "vectors" / "link.json"
EPHEMERALS = desk.entropy_of(11)(32), desk.entropy_of(12)(32)
RECORDS = b"".join(index.to_bytes(8, "little") for index in range(100))


def told(message: wire.Message) -> dict[str, Any]:
    """What a frame says beside its body."""
    names = ("type", "channel", "flags", "fence", "sequence", "sent_ns", "schema", "token_id")
    return {name: int(getattr(message, name)) for name in names}


def messages() -> list[tuple[wire.Message, bytes]]:
    """(message as sealed, uncompressed body), one of each kind."""
    acknowledged = acknowledgement.pack(True, (7, 8), (100, 200), [(2, 1, 41, 43, 65536), (5, 0, 3, 3, 4096)])
    plain = [
        desk.said(b"", sequence=1),
        desk.said(bytes(range(64)), sequence=2, token_id=9),
        desk.said(RECORDS, sequence=2**63, channel=15, flags=Flag.RETRANSMISSION | Flag.FRAGMENT | Flag.END, schema=3),
        desk.said(acknowledged, sequence=0, type=Type.ACK),
        desk.said(acknowledgement.pack_missing(8, 42, 1, 200), sequence=0, type=Type.NAK, channel=2),
        desk.said(bodies.pack_heartbeat(bodies.Heartbeat(7, 6, desk.NOW_NS)), sequence=0, type=Type.HEARTBEAT),
        desk.said(bodies.pack_fence(9), sequence=3, type=Type.FENCE),
        desk.said(bodies.pack_kill(bodies.Kill(1, 4, desk.NOW_NS, "loss limit")), sequence=4, type=Type.KILL),
        desk.said(bodies.pack_goaway(bodies.GoAway(0, 1000, "upgrade")), sequence=5, type=Type.GOAWAY),
    ]
    squeezed = desk.said(b"squeezed", sequence=8, channel=2, flags=Flag.COMPRESSED | Flag.SNAPSHOT, schema=77)
    squeezed = squeezed._replace(type=Type.SNAPSHOT, raw_bytes=len(b"squeezed" * 3))
    return [(message, message.body) for message in plain] + [(squeezed, b"squeezed" * 3)]


def handshake() -> tuple[dict[str, Any], Any]:
    """The handshake's vector and what it established."""
    initiator = Initiator(desk.PAIRING_1, wire.BULK, desk.STATEMENT_1, desk.secret_of)
    first = initiator.first(desk.NOW_NS, lambda count: EPHEMERALS[0])
    assert isinstance(first, bytes)
    responder = Responder(desk.PAIRING_2, wire.BULK, desk.STATEMENT_2, desk.secret_of, 0)
    second, established = responder.first(first, desk.NOW_NS + 5, lambda count: EPHEMERALS[1])
    names = ("boot_id", "fence", "layouts", "known_boot_id", "resume")
    sides = [
        {name: hexadecimal(getattr(statement, name)) for name in names} for statement in (desk.STATEMENT_1, desk.STATEMENT_2)
    ]
    vector = {
        "connection": wire.BULK,
        "nodes": [1, 2],
        "static_private": [desk.PRIVATE_1.hex(), desk.PRIVATE_2.hex()],
        "ephemeral_private": [key.hex() for key in EPHEMERALS],
        "hour": desk.HOUR,
        "secret": desk.secret_of(desk.HOUR).hex(),
        "times_ns": [desk.NOW_NS, desk.NOW_NS + 5],
        "session_id": desk.STATEMENT_1.session_id.hex(),
        "statements": sides,
        "first": first.hex(),
        "second": second.hex(),
        "handshake_hash": established.handshake_hash.hex(),
        "session_key": established.session_key.hex(),
    }
    return vector, established


def hexadecimal(value: Any) -> Any:
    """Bytes as text, anything else as it is."""
    return value.hex() if isinstance(value, bytes) else value


def frames(established: Any) -> list[dict[str, Any]]:
    """Every message once, an EPOCH frame in the middle."""
    sealer = Sealer(1, wire.BULK, wire.TO_RESPONDER, established.session_key, desk.HOUR, desk.secret_of(desk.HOUR))
    found = []
    for index, (message, raw) in enumerate(messages()):
        if index == 5:
            place = {"epoch": sealer.epoch, "hour": sealer.hour, "record": sealer.record}
            body = bodies.pack_epoch(bodies.NextEpoch(sealer.epoch + 1, desk.HOUR + 1))
            epoch = desk.said(body, sequence=0, type=Type.EPOCH)
            data = sealer.rekey(desk.HOUR + 1, desk.secret_of(desk.HOUR + 1), desk.NOW_NS, desk.FENCE)
            found.append(place | told(epoch) | {"body": body.hex(), "raw": body.hex(), "frame": data.hex()})
        place = {"epoch": sealer.epoch, "hour": sealer.hour, "record": sealer.record}
        data = sealer.seal(message, wire.crc32(raw))
        found.append(place | told(message) | {"body": message.body.hex(), "raw": raw.hex(), "frame": data.hex()})
    return found


def vectors() -> dict[str, Any]:
    """The whole file."""
    vector, established = handshake()
    hours = {str(hour): desk.secret_of(hour).hex() for hour in (desk.HOUR, desk.HOUR + 1)}
    whole = {"handshake": vector, "direction": wire.TO_RESPONDER, "secrets": hours, "frames": frames(established)}
    return json.loads(json.dumps(whole))


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size} bytes")
