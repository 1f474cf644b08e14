"""SoupBinTCP's state machines: no read boundary, no damage and no lost connection changes what arrives, or how often."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.port import open_port
from gateway.protocols import ouch50, soupbintcp
from gateway.protocols.headers import carried_by
from gateway.protocols.soupbintcp import encode
from gateway.protocols.soupbintcp_client import Client
from gateway.protocols.soupbintcp_server import Log, Server
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message, Said
from tests import naive_soup

SECOND = 1_000_000_000
ACCEPTED = encode("A", session="S1", sequence_number=1)
LOGIN = encode("L", username="us", password="pw", requested_session="", requested_sequence_number=1)


def plain(events: Iterable[Event]) -> list[tuple]:
    names = {Accepted: "accepted", Message: "message", Said: "said", Lost: "lost"}
    return [(names[type(event)], *event) for event in events]


def client(now_ns: int = 0, **settings: object) -> Client:
    made = Client("us", "pw", **settings)  # type: ignore[arg-type]
    made.connect(now_ns)
    made.output()
    return made


def server(log: Log | None = None, admit: Callable[[str, str], str] = lambda *_: "") -> Server:
    return Server(log or Log("S1"), admit, 0)


def open_client() -> Client:
    made = client()
    made.receive(ACCEPTED, 0)
    return made


def open_server(log: Log | None = None, sequence: int = 1) -> Server:
    made = server(log)
    made.receive(encode("L", requested_session="", requested_sequence_number=sequence), 0)
    return made


def in_reads(receive: Callable[[bytes, int], list[Event]], stream: bytes, cuts: list[int]) -> list[tuple]:
    events: list[Event] = []
    edges = [0, *sorted({cut % len(stream) for cut in cuts} - {0}), len(stream)] if stream else []
    for begin, end in zip(edges, edges[1:], strict=False):
        events += receive(stream[begin:end], 0)
    return plain(events)


# ---- bytes -------------------------------------------------------------------------------------------------------


def test_a_login_asks_for_the_session_and_the_next_sequence_byte_for_byte() -> None:
    made = Client("us", "secret", "S1", 42)
    made.connect(0)
    assert made.output() == b"\x00\x2fLus    secret    S1        " + b"%20d" % 42
    assert made.output() == b""


def test_the_recorded_frames_pass_the_machines_at_every_cut(shared_data: Path) -> None:
    captures = sorted((shared_data / "nasdaq-ouch50-soupbintcp").glob("*.pcap"))
    assert len(captures) == 6
    kinds = set()
    for capture in captures:
        with open_port(f"pcap:{capture}") as port:
            (record,) = list(port)
        data = carried_by(record.data).payload
        (packet,), rest = soupbintcp.split(data)
        kind = chr(packet[0])
        kinds.add(kind)
        assert rest == b""
        for cut in range(1, len(data)):
            machine = open_server() if kind in "UR" else open_client()
            events = machine.receive(data[:cut], 0) + machine.receive(data[cut:], 0)
            if kind in "HR":
                assert events == []
                continue
            ((sequence, payload),) = events  # type: ignore[misc]
            direction = ouch50.INBOUND if kind == "U" else ouch50.OUTBOUND
            assert payload == packet[1:] and sequence == (0 if kind == "U" else 1)
            decoded = ouch50.decode(payload, direction)
            assert ouch50.encode(decoded["message"], **decoded) == payload
    assert kinds == {"U", "S", "H", "R"}


# ---- reads -------------------------------------------------------------------------------------------------------

FROM_SERVER = st.one_of(
    st.binary(max_size=60).map(lambda body: encode("S", body)),
    st.binary(max_size=9).map(lambda body: encode("+", body)),
    st.sampled_from([encode("H"), encode("Z"), encode("J", reject_reason_code="S"), ACCEPTED]),
    st.sampled_from([b"\0\0", b"\0\1?", b"\xff\xffS", b"\0\1U", b"\0\2HH", b"\0\x1fA" + b" " * 30]),
)
FROM_CLIENT = st.one_of(
    st.binary(max_size=60).map(lambda body: encode("U", body)),
    st.sampled_from([encode("R"), encode("O"), encode("+", b"hello"), LOGIN]),
    st.sampled_from([b"\0\0", b"\0\1?", b"\x04\x01U", b"\0\1S", b"\0\2RR", b"\0\x2fL" + b" " * 46]),
)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)


@given(st.lists(FROM_SERVER, max_size=8), CUTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_client_hears_the_same_however_the_stream_is_cut_into_reads(
    packets: list[bytes], cuts: list[int], begin: bool
) -> None:
    stream = (ACCEPTED if begin else b"") + b"".join(packets)
    assert in_reads(client().receive, stream, cuts) == naive_soup.client_says(stream, "", 1)


@given(st.lists(FROM_CLIENT, max_size=8), CUTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_server_hears_the_same_however_the_stream_is_cut_into_reads(
    packets: list[bytes], cuts: list[int], begin: bool
) -> None:
    stream = (LOGIN if begin else b"") + b"".join(packets)
    assert in_reads(server().receive, stream, cuts) == naive_soup.server_says(stream, "S1", 0)


def test_damaged_streams_are_cut_as_the_naive_twin_cuts_them() -> None:
    for seed in range(2000):
        chance = random.Random(seed)
        good = b"".join(encode("S", chance.randbytes(chance.randrange(40))) for _ in range(4)) + encode("H")
        stream = bytearray(ACCEPTED + good)
        for _ in range(chance.randrange(4)):
            stream[chance.randrange(len(stream))] = chance.randrange(256)
        cuts = [chance.randrange(len(stream)) for _ in range(5)]
        expected = naive_soup.client_says(bytes(stream), "", 1)
        assert in_reads(client().receive, bytes(stream), cuts) == expected, f"seed {seed}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0", "length_zero"),
        (b"\x04\x01S", "length_oversized"),
        (b"\0\1?", "type_unknown"),
        (b"\0\1U", "type_unexpected"),
        (b"\0\2H!", "length_wrong"),
        (ACCEPTED, "type_unexpected"),
        (encode("Z"), "ended"),
        (b"", "closed"),
    ],
)
def test_what_a_client_cannot_believe_ends_the_connection_with_its_reason(data: bytes, reason: str) -> None:
    made = open_client()
    assert plain(made.receive(data, 0)) == [("lost", reason)]
    assert made.receive(encode("S", b"behind"), 0) == [] and made.phase == "idle"


def test_a_packet_of_the_greatest_length_is_taken() -> None:
    body = bytes(limits.SESSION_PACKET_BYTES_MAX - 1)
    assert plain(open_client().receive(encode("S", body), 0)) == [("message", 1, body)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (encode("J", reject_reason_code="A"), "login_refused"),
        (encode("J", reject_reason_code="S"), "login_busy"),
        (encode("A", session="OTHER", sequence_number=7), "session_other"),
        (encode("A", session="", sequence_number=7), "field"),
        (encode("A", session="S1", sequence_number=0), "field"),
        (b"\0\x1fAS1        " + b"x" * 20, "field"),
        (encode("S", b"too soon"), "type_unexpected"),
    ],
)
def test_an_answer_to_the_login_that_is_none_is_not_taken(answer: bytes, reason: str) -> None:
    assert plain(client(session="S1", next_sequence=7).receive(answer, 0)) == [("lost", reason)]


# ---- time --------------------------------------------------------------------------------------------------------


def test_both_sides_send_a_heartbeat_after_a_second_of_silence_and_not_before() -> None:
    for machine, heartbeat in ((open_client(), encode("R")), (open_server(), encode("H"))):
        machine.output()
        assert machine.advance(SECOND - 1) == [] and machine.output() == b""
        assert machine.advance(SECOND) == [] and machine.output() == heartbeat
        machine.stream.note_sent(SECOND + 5)
        machine.advance(2 * SECOND + 4)
        assert machine.output() == b"" and machine.heartbeats_sent == 1
        machine.advance(2 * SECOND + 5)
        assert machine.output() == heartbeat


def test_both_sides_give_up_after_fifteen_seconds_of_silence_and_not_before() -> None:
    for machine, heartbeat in ((open_client(), encode("H")), (open_server(), encode("R"))):
        machine.receive(heartbeat, SECOND)
        assert machine.advance(16 * SECOND - 1) == []
        assert plain(machine.advance(16 * SECOND)) == [("lost", "silence")]
        assert machine.advance(17 * SECOND) == []


def test_a_login_that_is_not_answered_or_never_asked_for_ends() -> None:
    for machine in (client(), server()):
        assert machine.advance(limits.SESSION_LOGIN_NS - 1) == []
        assert plain(machine.advance(limits.SESSION_LOGIN_NS)) == [("lost", "login_silence")]


# ---- server ------------------------------------------------------------------------------------------------------


def test_a_server_replays_from_the_sequence_asked_for_and_zero_means_what_is_new() -> None:
    for sequence, first in ((1, 1), (3, 3), (4, 4), (0, 4)):
        log = Log("S1")
        for text in (b"one", b"two", b"three"):
            log.append(text)
        made = open_server(log, sequence)
        made.advance(0)
        replay = b"".join(encode("S", text) for text in log.messages[first - 1 :])
        assert made.output() == encode("A", session="S1", sequence_number=first) + replay
        log.append(b"four")
        made.advance(0)
        assert made.output() == encode("S", b"four")


def test_a_server_refuses_who_it_does_not_know_another_session_and_a_sequence_beyond_its_log() -> None:
    def admit(username: str, password: str) -> str:
        return "" if (username, password) == ("us", "pw") else "A"

    given = {"username": "us", "password": "pw", "requested_session": "", "requested_sequence_number": 1}
    cases = [
        ({"password": "PW"}, b"A", "login_refused"),
        ({"username": ""}, b"A", "login_refused"),
        ({"requested_session": "S2"}, b"S", "login_busy"),
        ({"requested_sequence_number": 2}, b"S", "login_busy"),
    ]
    for wrong, code, reason in cases:
        made = server(admit=admit)
        assert plain(made.receive(encode("L", **{**given, **wrong}), 0)) == [("lost", reason)]  # type: ignore[arg-type]
        assert made.output() == b"\0\2J" + code
    assert plain(server(admit=admit).receive(encode("L", **given), 0)) == [("accepted", "S1", 1)]  # type: ignore[arg-type]


def test_a_second_login_of_the_same_session_replaces_the_first() -> None:
    log = Log("S1")
    first, second = open_server(log), open_server(log)
    assert plain(first.advance(0)) == [("lost", "replaced")] and second.advance(0) == []
    assert log.holder is second


def test_the_end_of_the_session_stands_behind_the_last_message_and_once() -> None:
    log = Log("S1")
    made = open_server(log)
    made.output()
    log.append(b"last")
    log.ended = True
    for _ in range(2):
        made.advance(0)
    assert made.output() == encode("S", b"last") + encode("Z") and made.said_end


# ---- both --------------------------------------------------------------------------------------------------------


def test_every_message_arrives_once_and_in_order_over_connections_cut_anywhere() -> None:
    for seed in range(150):
        chance = random.Random(seed)
        log, heard, sent = Log("S1"), [], []
        us = Client("us", "pw")
        for _ in range(chance.randrange(2, 9)):
            them = Server(log, lambda *_: "", 0)
            us.connect(0)
            for _ in range(chance.randrange(1, 30)):
                if chance.random() < 0.6:
                    sent.append(b"%d" % len(sent))
                    log.append(sent[-1])
                them.receive(us.output() or encode("+", b""), 0)
                them.advance(0)
                data = them.output()
                whole = chance.random() < 0.9
                data = data if whole else data[: chance.randrange(len(data) + 1)]
                heard += [event for event in us.receive(data, 0) if isinstance(event, Message)] if data else []
                if not whole:
                    break
            us.disconnect("closed")
        them = Server(log, lambda *_: "", 0)
        us.connect(0)
        them.receive(us.output(), 0)
        them.advance(0)
        heard += [event for event in us.receive(them.output(), 0) if isinstance(event, Message)]
        assert [tuple(event) for event in heard] == list(enumerate(sent, start=1)), f"seed {seed}"


def test_nothing_is_sent_on_a_session_that_is_not_open() -> None:
    with pytest.raises(ValueError, match="not open"):
        client().send(b"order", 0)
