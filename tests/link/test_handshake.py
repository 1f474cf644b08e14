"""Two messages make a session, or a reason says why not."""

import random

import pytest

from gateway.link.frames import wire
from gateway.link.frames.handshake import Established, Initiator, Pairing, Responder, Statement, framed, noise_part
from gateway.link.frames.wire import Prefix, Refusal, Refused
from tests.link import wire_desk as desk

HOUR_NS = 3600 * 10**9


def first_message(now_ns: int = desk.NOW_NS, pairing: Pairing = desk.PAIRING_1, connection: int = wire.CONTROL) -> bytes:
    """What an initiator says at that time by its own clock."""
    data = Initiator(pairing, connection, desk.STATEMENT_1, lambda hour: bytes(32)).first(now_ns, desk.entropy_of(now_ns))
    assert isinstance(data, bytes)
    return data


def responder(accepted_ns: int = 0, secrets=desk.secret_of, connection: int = wire.CONTROL) -> Responder:
    """Node 2, ready for node 1."""
    return Responder(desk.PAIRING_2, connection, desk.STATEMENT_2, secrets, accepted_ns)


def answer(data: bytes, now_ns: int = desk.NOW_NS, **changed) -> tuple[bytes, Established] | Refused:
    """What node 2 makes of a first message."""
    return responder(**changed).first(data, now_ns, desk.entropy_of(8))


def test_both_sides_know_the_same_session_and_each_other():
    hands = desk.HANDS
    assert len(hands.first) == len(hands.second) == wire.HANDSHAKE_BYTES == 260
    mine, other = hands.initiator, hands.responder
    for name in ("handshake_hash", "session_key", "session_id", "hour", "secret"):
        assert getattr(mine, name) == getattr(other, name), name
    assert len(mine.session_key) == 96 and mine.session_key[:32] == mine.handshake_hash
    assert mine.remote_boot_id == desk.STATEMENT_2.boot_id == mine.remote_boot_id
    assert mine.remote_resume == desk.STATEMENT_2.resume and other.remote_resume == desk.STATEMENT_1.resume
    assert mine.remote_known_boot_id == desk.STATEMENT_1.boot_id
    assert (mine.remote_fence, other.remote_fence) == (desk.FENCE + 1, desk.FENCE)
    assert mine.remote_layouts == other.remote_layouts == desk.LAYOUTS
    assert (mine.remote_time_ns, other.remote_time_ns) == (desk.NOW_NS + 5, desk.NOW_NS)


def test_two_handshakes_share_no_key_though_everything_but_the_ephemeral_keys_is_equal():
    assert desk.shake(1).initiator.session_key != desk.shake(2).initiator.session_key


def changed_prefix(data: bytes, **fields) -> bytes:
    """Prefix fields set and the CRC made good."""
    prefix = wire.read_prefix(data)
    assert isinstance(prefix, Prefix)
    return framed(prefix._replace(**fields), noise_part(data))


FIRST = first_message()
REFUSED_FIRST = {
    "handshake_length": FIRST[:-1],
    "handshake_magic": b"GL" + FIRST[2:],
    "handshake_version": desk.bit_flipped(FIRST, 16),
    "handshake_message": changed_prefix(FIRST, message=2),
    "handshake_crc": desk.bit_flipped(FIRST, 800),
    "node": changed_prefix(FIRST, initiator=3),
    "hour": changed_prefix(FIRST, hour=desk.HOUR + 2),
    "handshake_tag": changed_prefix(FIRST, hour=desk.HOUR + 1),
}


@pytest.mark.parametrize("word", REFUSED_FIRST)
def test_a_first_message_is_refused_with_its_word(word: str):
    assert answer(REFUSED_FIRST[word]).reason.word == word


def test_the_checks_of_a_first_message_happen_in_their_order():
    faults = [
        lambda data: changed_prefix(data, message=2),
        lambda data: changed_prefix(data, responder=9),
        lambda data: changed_prefix(data, hour=1),
    ]
    for index, word in enumerate(("handshake_message", "node", "hour")):
        data = FIRST
        for fault in faults[index:]:
            data = fault(data)
        assert answer(data, secrets=lambda hour: None).reason.word == word
    assert answer(FIRST, secrets=lambda hour: None).reason is Refusal.NO_SECRET


@pytest.mark.parametrize("late_ns", [-31 * 10**9, 31 * 10**9])
def test_a_clock_that_is_thirty_seconds_off_is_refused(late_ns: int):
    assert answer(FIRST, desk.NOW_NS + late_ns) == Refused(Refusal.CLOCK)
    assert not isinstance(answer(FIRST, desk.NOW_NS + late_ns * 29 // 31), Refused)


def test_a_first_message_that_is_replayed_or_overtaken_is_refused():
    once = responder()
    assert not isinstance(once.first(FIRST, desk.NOW_NS, desk.entropy_of(1)), Refused)
    assert once.first(FIRST, desk.NOW_NS, desk.entropy_of(2)) == Refused(Refusal.REPLAYED)
    assert answer(first_message(desk.NOW_NS - 1), accepted_ns=desk.NOW_NS) == Refused(Refusal.REPLAYED)
    assert not isinstance(answer(first_message(desk.NOW_NS + 1), accepted_ns=desk.NOW_NS), Refused)


def test_what_was_said_to_an_earlier_life_is_refused_by_the_next_one():
    assert answer(FIRST, desk.NOW_NS + 10**9, accepted_ns=desk.NOW_NS + 10**6) == Refused(Refusal.REPLAYED)


@pytest.mark.parametrize("hours", [-2, -1, 0, 1, 2])
def test_an_hour_that_is_not_the_messages_own_is_refused(hours: int):
    edge_ns = (desk.HOUR + 1) * HOUR_NS  # between two hours: clocks differ by less than the hour does
    data = changed_prefix(first_message(edge_ns + 1), hour=desk.HOUR + 1 + hours)
    wanted = {0: None, 1: Refused(Refusal.HANDSHAKE_TAG), 2: Refused(Refusal.HOUR)}[abs(hours)]
    found = answer(data, edge_ns)
    assert found == wanted if hours else not isinstance(found, Refused)  # a changed hour within bounds fails its tag


def test_clocks_on_both_sides_of_an_hours_edge_agree_on_the_initiators_hour():
    edge_ns = (desk.HOUR + 1) * HOUR_NS
    early, late = first_message(edge_ns - 10), first_message(edge_ns + 10)
    assert answer(early, edge_ns + 10)[1].hour == desk.HOUR
    assert answer(late, edge_ns - 10)[1].hour == desk.HOUR + 1


def test_a_key_that_is_not_pinned_is_refused_by_its_tag():
    stranger = Pairing(1, desk.entropy_of(50)(32), 2, desk.PAIRING_1.remote_public_key)
    assert answer(first_message(pairing=stranger)) == Refused(Refusal.HANDSHAKE_TAG)


def test_a_message_for_one_connection_opens_no_other():
    data = first_message(connection=wire.BULK)
    assert answer(data) == Refused(Refusal.HANDSHAKE_MESSAGE)
    assert answer(changed_prefix(data, connection=wire.CONTROL)) == Refused(Refusal.HANDSHAKE_TAG)
    assert not isinstance(answer(data, connection=wire.BULK), Refused)


def asked() -> tuple[Initiator, bytes]:
    initiator = Initiator(desk.PAIRING_1, wire.CONTROL, desk.STATEMENT_1, desk.secret_of)
    return initiator, initiator.first(desk.NOW_NS, desk.entropy_of(6))


def test_an_initiator_without_the_hours_secret_says_nothing():
    initiator = Initiator(desk.PAIRING_1, wire.CONTROL, desk.STATEMENT_1, lambda hour: None)
    assert initiator.first(desk.NOW_NS, desk.entropy_of(6)) == Refused(Refusal.NO_SECRET)


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("handshake_length", lambda data: data + b"!"),
        ("handshake_crc", lambda data: desk.bit_flipped(data, 2000)),
        ("handshake_message", lambda data: changed_prefix(data, message=1)),
        ("handshake_message", lambda data: changed_prefix(data, connection=1)),
        ("node", lambda data: changed_prefix(data, responder=7)),
        ("hour", lambda data: changed_prefix(data, hour=desk.HOUR + 1)),
        ("handshake_tag", lambda data: framed(wire.read_prefix(data), desk.bit_flipped(noise_part(data), 999))),
    ],
)
def test_an_answer_is_refused_with_its_word(word: str, change):
    initiator, first = asked()
    second, _ = answer(first)
    assert initiator.second(change(second)).reason.word == word


def test_an_answer_to_another_attempt_is_refused():
    initiator, _ = asked()
    assert initiator.second(desk.shake(31).second) == Refused(Refusal.HANDSHAKE_TAG)


def test_an_answer_under_another_secret_is_refused():
    initiator, first = asked()
    second, _ = answer(first, secrets=lambda hour: bytes(32))
    assert initiator.second(second) == Refused(Refusal.HANDSHAKE_TAG)


def test_an_answer_that_names_another_session_is_refused(monkeypatch: pytest.MonkeyPatch):
    initiator, first = asked()
    monkeypatch.setattr(
        "gateway.link.frames.handshake.pack_payload",
        lambda statement, session_id, now_ns: wire.PAYLOAD.pack(bytes(16), bytes(16), now_ns, 0, 0, bytes(16), *[1] * 16),
    )
    second, _ = answer(first)
    assert initiator.second(second) == Refused(Refusal.SESSION)


def test_every_bit_of_both_messages_is_refused_with_a_repaired_crc():
    draw = random.Random(4)
    initiator, first = asked()
    second, _ = answer(first)
    for bit in [*range(16 * 8), *draw.sample(range(16 * 8, 256 * 8), 60)]:
        for data, read in ((first, answer), (second, initiator.second)):
            flipped = desk.bit_flipped(data, bit)[:-4]
            assert isinstance(read(flipped + wire.CRC.pack(wire.crc32(flipped))), Refused), bit
            initiator, _ = asked()


def test_nothing_of_the_payload_is_in_clear():
    hands = desk.HANDS
    for secret in (desk.STATEMENT_1.session_id, desk.STATEMENT_1.boot_id, desk.STATEMENT_2.boot_id):
        assert secret not in hands.first + hands.second


def test_a_statement_knows_nothing_unless_told():
    assert Statement(bytes(16), 0).resume == (1,) * 16
