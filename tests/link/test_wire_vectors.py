"""tests/vectors/link.json: the product and a second implementation both write these bytes, and the product reads them."""

import json

import pytest

from gateway.link.frames import wire
from gateway.link.frames.frame_stream import FrameStream
from gateway.link.frames.handshake import Established, Initiator, Responder
from gateway.link.frames.protection import Opener
from tests.link import naive_wire as naive
from tests.link import wire_desk as desk
from tests.link import wire_vectors

VECTORS = json.loads(wire_vectors.FILE.read_text(encoding="utf-8"))
SHAKEN = VECTORS["handshake"]


def known(name: str) -> bytes:
    return bytes.fromhex(SHAKEN[name])


def naive_payload(side: int) -> bytes:
    statement = SHAKEN["statements"][side]
    boot, other = bytes.fromhex(statement["boot_id"]), bytes.fromhex(statement["known_boot_id"])
    said = (SHAKEN["times_ns"][side], statement["fence"], statement["layouts"])
    return naive.payload(known("session_id"), boot, *said, other, statement["resume"])


def test_the_file_is_what_the_product_writes():
    assert wire_vectors.vectors() == VECTORS


def test_a_second_implementation_writes_the_same_handshake():
    first, second = (naive.prefix(number, SHAKEN["connection"], *SHAKEN["nodes"], SHAKEN["hour"]) for number in (1, 2))
    statics = [bytes.fromhex(key) for key in SHAKEN["static_private"]]
    ephemerals = [bytes.fromhex(key) for key in SHAKEN["ephemeral_private"]]
    noise = naive.Noise(b"gateway link 1" + first, *statics)
    assert naive.framed(first, noise.first(ephemerals[0], naive_payload(0))) == known("first")
    assert naive.framed(second, noise.second(ephemerals[1], known("secret"), naive_payload(1))) == known("second")
    assert noise.hash == known("handshake_hash")
    assert noise.session_key() == known("session_key")


@pytest.mark.parametrize("index", range(len(VECTORS["frames"])))
def test_a_second_implementation_writes_the_same_frames(index: int):
    told = VECTORS["frames"][index]
    secret = bytes.fromhex(VECTORS["secrets"][str(told["hour"])])
    place = (SHAKEN["connection"], VECTORS["direction"], told["epoch"], told["hour"])
    key, iv = naive.epoch_key(known("session_key"), secret, *place)
    body, raw = bytes.fromhex(told["body"]), bytes.fromhex(told["raw"])
    frame = naive.frame(key, iv, told["epoch"], told["record"], SHAKEN["nodes"][0], told, body, raw)
    assert frame.hex() == told["frame"]


def test_the_product_reads_the_frames_whatever_the_pieces():
    data = b"".join(bytes.fromhex(told["frame"]) for told in VECTORS["frames"])
    secrets = {int(hour): bytes.fromhex(secret) for hour, secret in VECTORS["secrets"].items()}
    for size in (1, 7, 333, len(data)):
        place = (SHAKEN["connection"], VECTORS["direction"], known("session_key"), SHAKEN["hour"])
        stream = FrameStream(Opener(1, *place, secrets[SHAKEN["hour"]], secrets.get, desk.repeated))
        found = []
        for begin in range(0, len(data), size):
            stream.feed(data[begin : begin + size])
            found += desk.drained(stream)
        wanted = [told for told in VECTORS["frames"] if told["type"] != wire.Type.EPOCH]
        assert [message.body.hex() for message in found] == [told["raw"] for told in wanted]
        assert [wire_vectors.told(message) for message in found] == [
            {name: told[name] for name in wire_vectors.told(found[0])} for told in wanted
        ]


def test_the_product_shakes_hands_with_the_second_implementation():
    first = naive.prefix(1, wire.CONTROL, 1, 2, desk.HOUR)
    noise = naive.Noise(b"gateway link 1" + first, desk.PRIVATE_1, desk.PRIVATE_2)
    words = naive.payload(bytes(16), desk.STATEMENT_1.boot_id, desk.NOW_NS, 7, 9, bytes(16), [1] * 16)
    message = naive.framed(first, noise.first(desk.entropy_of(1)(32), words))
    responder = Responder(desk.PAIRING_2, wire.CONTROL, desk.STATEMENT_2, desk.secret_of, 0)
    answer, established = responder.first(message, desk.NOW_NS, lambda count: wire_vectors.EPHEMERALS[1])
    words = answer[16:-4]
    initiator = Initiator(desk.PAIRING_1, wire.CONTROL, desk.STATEMENT_1, desk.secret_of)
    assert established.remote_boot_id == desk.STATEMENT_1.boot_id and len(words) == 240
    mine = initiator.first(desk.NOW_NS, lambda count: wire_vectors.EPHEMERALS[0])
    noise = naive.Noise(b"gateway link 1" + first, desk.PRIVATE_1, desk.PRIVATE_2)
    noise.first(
        wire_vectors.EPHEMERALS[0],
        naive.payload(
            desk.STATEMENT_1.session_id,
            desk.STATEMENT_1.boot_id,
            desk.NOW_NS,
            desk.FENCE,
            desk.LAYOUTS,
            desk.STATEMENT_1.known_boot_id,
            list(desk.STATEMENT_1.resume),
        ),
    )
    back = naive.payload(desk.STATEMENT_1.session_id, bytes(16), desk.NOW_NS, 3, 2**32 - 1, bytes(16), [9] * 16)
    second = noise.second(wire_vectors.EPHEMERALS[1], desk.secret_of(desk.HOUR), back)
    done = initiator.second(naive.framed(naive.prefix(2, wire.CONTROL, 1, 2, desk.HOUR), second))
    assert isinstance(mine, bytes) and isinstance(done, Established)
    assert (done.remote_resume, done.remote_fence, done.remote_layouts) == ((9,) * 16, 3, 2**32 - 1)
    assert done.session_key == noise.session_key()
