"""The re-request server: what it answers, what it is silent about, and that it can be neither used nor drowned."""

import random

import pytest

from gateway.protocols import moldudp64, udp
from gateway.venues.simulator.report import lost_ranges
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.venues.asker import ADDRESS, PORT, Asker, request_frame, way_of
from tests.venues.desk import ADDRESSES, HEADERS, MAC_A, MAC_B

SEED = 424242
PAYLOAD_MAX = 1400
UNHURRIED = {"seed": 5, "symbols": 6, "rate": 200_000, "request_rate": 1_000_000}
REASONS = ("malformed", "session", "empty", "ahead", "expired", "limited", "answered")


def asker(messages: int = 2_000, **settings) -> Asker:
    made = Asker(Settings(**{**UNHURRIED, **settings}))
    made.trade(messages)
    return made


def on_the_lines(made: Asker) -> list[bytes]:
    return [frame for frame in made.frames if frame[:6] in (MAC_A, MAC_B)]


def reasons(made: Asker) -> dict[str, int]:
    found = {name: int(made.counters[f"requests_{name}"]) for name in REASONS}
    assert sum(found.values()) == made.counters["requests_received"]
    return {name: count for name, count in found.items() if count}


def naive_answer(made: Asker, store: int, payload: bytes, next_sequence: int) -> tuple[str, list[bytes]]:
    """(reason, messages) by plain lists: everything ever said, and the rules of the server in words."""
    if len(payload) != 20:
        return "malformed", []
    session, sequence, count = moldudp64.decode_request(payload)
    if session != made.session:
        return "session", []
    if count == 0:
        return "empty", []
    if sequence == 0 or sequence >= next_sequence:
        return "ahead", []
    if sequence < next_sequence - store:
        return "expired", []
    wanted = [made.heard[number] for number in range(sequence, min(sequence + count, next_sequence))]
    room, taken = PAYLOAD_MAX - 20, []
    for message in wanted:
        room -= 2 + len(message)
        if room < 0:
            break
        taken.append(message)
    return "answered", taken


def any_request(randomness: random.Random, made: Asker, next_sequence: int) -> bytes:
    session = randomness.choice([made.session] * 9 + ["SIM9999999", "", "ORD0000005"])
    near = randomness.randrange(max(1, next_sequence - 200), next_sequence + 20)
    sequence = randomness.choice([near] * 6 + [0, 1, next_sequence, next_sequence - 1, 1 << 63, (1 << 64) - 1])
    count = randomness.choice([0, 1, 2, 10, 36, 37, 1000, 0xFFFF, randomness.randrange(1, 60)])
    payload = moldudp64.encode_request(session, sequence, count)
    if randomness.random() < 0.1:
        payload = payload[: randomness.randrange(20)]
    return payload + (bytes(randomness.randrange(1, 30)) if randomness.random() < 0.05 else b"")


@pytest.mark.parametrize("store", [64, 256, 1 << 20])
def test_every_request_gets_what_the_naive_server_would_answer(store):
    randomness = random.Random(f"{SEED} {store}")
    made = asker(store_messages=store)
    expected = dict.fromkeys(REASONS, 0)
    for turn in range(800):
        next_sequence = int(made.counters["feed_sequence"])
        payload = any_request(randomness, made, next_sequence)
        made.send(payload)
        replies = made.replies(made.step(randomness.choice([0, 0, 200_000])))
        reason, messages = naive_answer(made, store, payload, next_sequence)
        expected[reason] += 1
        assert [packet.messages for packet in replies] == ([tuple(messages)] if messages else []), (SEED, store, turn)
        assert all(packet.sequence == moldudp64.decode_request(payload)[1] for packet in replies)
        assert all(packet.session == made.session for packet in replies)
    assert reasons(made) == {name: count for name, count in expected.items() if count}
    assert expected["answered"] > 80 and all(expected[name] for name in ("malformed", "session", "empty", "ahead"))


def test_a_reply_goes_to_the_address_and_port_that_asked_with_true_checksums():
    made = asker()
    for index in range(40):
        address, port, mac = f"10.77.{index}.{255 - index}", 1 + index * 1637, f"02:00:00:00:00:{index:02x}"
        made.send(moldudp64.encode_request(made.session, 3, 1 + index), source=address, source_port=port, source_mac=mac)
        (frame,) = [frame for frame in made.step(0) if frame[:6] == bytes.fromhex(mac.replace(":", ""))]
        ip, packet = frame[14:34], frame[34:]
        assert udp.checksum(ip) == 0
        assert udp.checksum(ip[12:20] + bytes([0, 17]) + packet[4:6] + packet) == 0
        assert way_of(frame) == (ADDRESSES.requests.address, ADDRESSES.requests.port, address, port)
        assert len(frame) - HEADERS <= PAYLOAD_MAX


def test_what_a_fault_plan_lost_on_both_lines_can_be_had_again_whole():
    plan = FaultPlan.parse("drop_both=50000,drop=100000")
    made, clean = asker(5_000, faults=plan), asker(5_000)
    ranges = lost_ranges(made.bench.venue)
    assert len(ranges) > 10
    for first, count in ranges:
        behind = first + count
        while first < behind:
            (reply,) = made.ask(first, behind - first)
            assert 0 < len(reply.messages) <= behind - first
            assert list(reply.messages) == [clean.heard[number] for number in range(first, first + len(reply.messages))]
            first += len(reply.messages)


def test_a_message_is_there_until_the_store_has_gone_round_and_not_one_longer():
    made = asker(store_messages=64)
    behind = int(made.counters["feed_sequence"])
    (reply,) = made.ask(behind - 64, 1)
    assert reply.messages == (made.heard[behind - 64],)
    assert made.ask(behind - 65, 0xFFFF) == []
    assert reasons(made) == {"answered": 1, "expired": 1}


def test_a_flood_is_answered_at_the_rate_and_leaves_the_feed_as_it_is():
    made, calm = Asker(Settings(**{**UNHURRIED, "request_rate": 1_000})), Asker(Settings(**UNHURRIED))
    for made_or_calm in (made, calm):
        made_or_calm.trade(1_000)
    flood = [request_frame(moldudp64.encode_request(made.session, 1, 0xFFFF))] * 30
    began_ns = int(made.bench.clock[0])
    for _ in range(400):
        for frame in flood:
            made.bench.send(frame)
        made.step()
        calm.step()
    passed = (int(made.bench.clock[0]) - began_ns) / 1e9
    answered = reasons(made)["answered"]
    assert abs(answered - (64 + 1_000 * passed)) <= 2
    assert reasons(made)["limited"] == 400 * 30 - answered
    assert made.heard == calm.heard
    assert on_the_lines(made) == on_the_lines(calm)


def test_a_second_without_requests_earns_no_more_than_a_burst():
    made = Asker(Settings(**{**UNHURRIED, "rate": 1000, "request_rate": 1_000}))
    made.trade(50)
    for _ in range(3):
        made.step(5_000_000_000)
        for _ in range(200):
            made.send(moldudp64.encode_request(made.session, 1, 1))
        made.step(0, steps=20)
    assert reasons(made) == {"answered": 3 * 64, "limited": 3 * 136}


@pytest.mark.parametrize(
    "headers",
    [
        {"source": "239.192.1.1", "source_port": 31001},  # an answer would stand on line A
        {"source": "255.255.255.255"},
        {"source": "0.0.0.0"},
        {"source_port": 0},
        {"source_mac": "01:00:5e:40:01:01"},
        {"source_mac": "ff:ff:ff:ff:ff:ff"},
    ],
)
def test_a_forged_sender_gets_no_answer_onto_a_multicast_line(headers):
    made = asker(100)
    made.send(moldudp64.encode_request(made.session, 1, 10), **headers)
    assert all(way_of(frame)[:2] == (ADDRESSES.venue.address, ADDRESSES.venue.port) for frame in made.step(0))
    assert reasons(made) == {"malformed": 1}


def test_nothing_has_been_said_before_the_day_so_nothing_can_be_asked_for():
    made = Asker(Settings(wait_seconds=1.0))
    assert made.ask(1, 1) == []
    assert reasons(made) == {"ahead": 1}


def test_requests_are_answered_while_the_end_of_the_session_is_being_said():
    made = asker()
    made.bench.venue.finish(int(made.bench.clock[0]))
    made.step(steps=3)
    last = int(made.counters["feed_sequence"]) - 1
    (reply,) = made.ask(last, 10)
    assert reply.messages == (made.heard[last],) and made.heard[last][:1] == b"S"


def test_a_venue_without_a_store_has_no_server():
    made = asker(store_messages=0)
    assert made.ask(1, 1) == []
    assert made.counters["frames_foreign"] == 1 and made.counters["requests_received"] == 0


def test_the_fault_plan_drops_doubles_and_delays_replies_and_counts_them():
    plan = FaultPlan.parse("drop_replies=200000,duplicate_replies=200000,delay_replies=200000,delay_ns=1000000")
    made = asker(faults=plan)
    immediate = [len(made.ask(sequence, 1)) for sequence in range(1, 501)]
    late = len(made.replies(made.step(1_000_000)))
    dropped, duplicated = int(made.counters["line_dropped"][2]), int(made.counters["line_duplicated"][2])
    delayed, unheld = int(made.counters["line_delayed"][2]), int(made.counters["held_full"])
    assert reasons(made) == {"answered": 500} and min(dropped, duplicated, delayed) >= 60
    assert late == delayed and immediate.count(2) == duplicated
    assert immediate.count(0) == dropped + delayed and immediate.count(1) == 500 - dropped - delayed - duplicated
    assert unheld > 0, "more was to be delayed than can be held: those left at once"
    assert made.counters["line_frames"][2] == sum(immediate) + late


def test_requests_do_not_shift_the_faults_of_the_lines():
    plan = FaultPlan.parse("drop=50000,drop_both=20000,drop_replies=500000")
    asked, quiet = asker(faults=plan, messages=500), asker(faults=plan, messages=500)
    for number in range(1, 200):
        asked.ask(number, 5)
        quiet.step(1_000)
        asked.step()
        quiet.step()
    assert on_the_lines(asked) == on_the_lines(quiet)


def test_the_reply_to_an_address_is_never_sent_to_the_one_before_it():
    made = asker()
    for mac in ("02:00:00:00:00:01", "02:00:00:00:00:02"):
        made.send(moldudp64.encode_request(made.session, 1, 1), source_mac=mac)
    frames = made.step(0)
    assert len(made.replies(frames, "02:00:00:00:00:01")) == len(made.replies(frames, "02:00:00:00:00:02")) == 1
    assert [way_of(frame)[2:] for frame in frames if frame[:5] == bytes([2, 0, 0, 0, 0])] == [(ADDRESS, PORT)] * 2
