"""MoldUDP64 packets: the codec, and the kernel accessors against it."""

import numpy as np
import pytest

from gateway.core.memory import address_of
from gateway.protocols import moldudp64
from gateway.protocols.message import Refused

PACKET = b"SESSION007" + (2**40 + 5).to_bytes(8, "big") + b"\0\2" + b"\0\3abc" + b"\0\0"


def test_a_packet_of_two_messages_decodes_and_encodes() -> None:
    packet = moldudp64.decode(PACKET)
    assert packet == moldudp64.Packet("SESSION007", 2**40 + 5, 2, (b"abc", b""))
    assert moldudp64.encode(packet.session, packet.sequence, packet.messages) == PACKET


def test_a_heartbeat_and_the_end_of_a_session_name_the_next_message() -> None:
    heartbeat = moldudp64.decode(moldudp64.encode("S", 77))
    assert (heartbeat.count, heartbeat.sequence, heartbeat.messages) == (moldudp64.HEARTBEAT, 77, ())
    end = moldudp64.decode(moldudp64.encode_end_of_session("S", 78))
    assert (end.count, end.sequence, end.messages) == (moldudp64.END_OF_SESSION, 78, ())


def test_a_request_decodes_and_encodes() -> None:
    assert moldudp64.decode_request(moldudp64.encode_request("S", 9, 40)) == ("S", 9, 40)
    with pytest.raises(Refused):
        moldudp64.decode_request(PACKET)


@pytest.mark.parametrize(
    ("data", "reason", "believed"),
    [
        (PACKET[:19], "packet_short", None),
        (PACKET[:-1], "block_overrun", 1),
        (PACKET[:22], "block_overrun", 0),
        (PACKET + b"!", "packet_trailing", 2),
    ],
)
def test_a_damaged_packet_is_refused_behind_the_messages_before_the_damage(
    data: bytes, reason: str, believed: int | None
) -> None:
    with pytest.raises(Refused) as refused:
        moldudp64.decode(data)
    assert refused.value.reason == reason
    if believed is not None:
        packet, refusal = moldudp64.decode_prefix(data)
        assert refusal is not None
        assert (len(packet.messages), refusal.reason) == (believed, reason)


def test_what_no_packet_can_hold_is_refused() -> None:
    for arguments in (("S", -1), ("S", 2**64), ("☃", 1), ("S", 1, [b""] * 65535), ("S", 1, [bytes(65536)])):
        with pytest.raises(Refused):
            moldudp64.encode(*arguments)


def test_kernel_accessors_read_what_the_codec_wrote() -> None:
    data = np.frombuffer(PACKET, np.uint8).copy()
    where = address_of(data)
    assert moldudp64.sequence_of(where) == 2**40 + 5
    assert moldudp64.count_of(where) == 2
    assert moldudp64.session_low(where) == int.from_bytes(b"SESSION0", "little")
    assert moldudp64.session_high(where) == int.from_bytes(b"07", "little")
