"""The link between two network namespaces under faults: what arrives, what is refused, what it costs, and who gets in."""

import contextlib
import json
import socket
import struct
import time

import pytest

from gateway.link.frames import wire
from tests.integration.far_end import inside
from tests.link_pair import PORT, across, both_up, start, words_of
from tests.link_spaces import FRANKFURT, spaces

pytestmark = pytest.mark.root

MARKET, SNAPSHOT = 2, 3
BODY = 1_100  # a frame is a packet or two


@pytest.fixture
def places(as_root):
    with spaces() as found:
        yield found


def wholly(account, channel, count):
    """Everything arrived, once, as it was sent."""
    assert account["seen"][str(channel)] == count
    assert account["lost"] == account["duplicated"] == account["damaged"] == 0
    return account


def under_faults(places, seconds, rate, corrupt=0.01):
    """Messages both ways on both connections while the line is bad; (relay's counts, both accounts)."""
    relay = places.relay(seed=7)
    near, far = across(places)
    both_up(near, far)
    relay.set(loss=0.01, jitter_ms=20, corrupt=corrupt)
    count = int(seconds * rate)
    near.ask(send={"channel": MARKET, "count": count, "bytes": BODY, "rate": rate})
    far.ask(send={"channel": 1, "count": count // 4, "bytes": 200, "rate": rate / 4})
    bound = seconds + 60
    far.until(lambda account: account["seen"].get(str(MARKET)) == count, "market data", bound)
    near.until(lambda account: account["seen"].get("1") == count // 4, "executions", bound)
    counts = relay.set(loss=0.0, jitter_ms=0, corrupt=0.0)
    wholly(far.ask(), MARKET, count)
    wholly(near.ask(), 1, count // 4)
    return counts, near.ask(), far.ask()


def failures(account):
    return account["counters"].get("crc_failures", 0)


def answered_in_place(counts, near, far):
    """Every damage was found, and answered without another session or connection."""
    assert counts["corrupted"] > 0 and counts["lost"] > 0
    assert failures(near) + failures(far) > 0
    for side in (near, far):
        assert side["events"].get("Up", 0) == 1 and side["events"].get("Joined", 0) == 2, side["events"]
        assert not side["alarms"]
    assert near["counters"].get("retransmitted", 0) + far["counters"].get("retransmitted", 0) > 0


@pytest.mark.slow
def test_under_loss_jitter_and_corruption_everything_arrives_once_in_the_same_session(places):
    answered_in_place(*under_faults(places, 6, 300))


@pytest.mark.long
def test_two_minutes_of_loss_jitter_and_corruption_change_nothing(places):
    counts, near, far = under_faults(places, 120, 300)
    print(json.dumps({"relay": counts, "crc_failures": failures(near) + failures(far)}))
    answered_in_place(counts, near, far)


def control_beside_a_snapshot(places, megabytes, kbit):
    """Round trips of control messages while a snapshot fills a slow line."""
    relay = places.relay(seed=3)
    near, far = across(places)
    both_up(near, far)
    relay.set(kbit=kbit, queue_ms=100)
    size = 16_000
    count = megabytes * 1_000_000 // size
    near.ask(send={"channel": SNAPSHOT, "count": count, "bytes": size})
    time.sleep(0.5)
    near.ask(clear=True)
    far.ask(clear=True)
    near.ask(ping={"count": 100_000, "interval_us": 20_000, "bytes": 80})
    bound = megabytes * 8_000 / kbit * 3 + 30
    far.until(lambda account: account["seen"].get(str(SNAPSHOT)) == count, "the snapshot", bound)
    account = near.ask()
    print(json.dumps({"megabytes": megabytes, "round_trips_us": account["round_trips"], "took": far.ask()["took"]}))
    assert account["round_trips"]["count"] > 50
    assert account["round_trips"]["p99"] <= 100_000
    wholly(far.ask(), SNAPSHOT, count)


@pytest.mark.slow
def test_control_stays_quick_while_a_snapshot_fills_a_line_of_ten_megabits(places):
    control_beside_a_snapshot(places, 5, 10_000)


@pytest.mark.long
def test_control_stays_quick_while_a_hundred_megabytes_fill_the_line(places):
    control_beside_a_snapshot(places, 100, 10_000)


@pytest.mark.slow
def test_bits_flipped_under_a_repaired_crc_are_refused_with_an_alarm_within_a_second(places):
    relay = places.relay(seed=5)
    near, far = across(places)
    both_up(near, far)
    near.ask(send={"channel": MARKET, "count": 2_000, "bytes": 600, "rate": 400})
    far.until(lambda account: account["seen"].get(str(MARKET), 0) > 100, "a beginning")
    relay.set(forge=0.02)
    found = far.until(lambda account: account["alarms"], "an alarm", 10)
    counts = relay.set(forge=0.0)
    assert counts["forged"] >= 1
    assert found["alarms"][0][0].lower() == "tag"
    assert -50_000_000 < found["alarms"][0][1] - counts["forged_first_ns"] < 1_000_000_000
    account = far.until(lambda account: account["seen"].get(str(MARKET)) == 2_000, "everything, in another session")
    wholly(account, MARKET, 2_000)
    assert account["events"].get("Down", 0) + account["events"].get("Parted", 0) >= 1
    assert account["counters"]["tag"] >= 1 and not account["damaged"]


@pytest.mark.slow
def test_a_recorded_session_that_is_played_again_is_not_accepted(places):
    relay = places.relay(seed=2, record=True)
    near, far = across(places)
    both_up(near, far)
    near.ask(send={"channel": MARKET, "count": 200, "bytes": 400, "rate": 2_000})
    far.until(lambda account: account["seen"].get(str(MARKET)) == 200, "the messages")
    recorded = [stream for stream in relay.recorded() if len(stream) >= wire.HANDSHAKE_BYTES]
    assert len(recorded) >= 2
    before = far.ask()
    for stream in recorded:
        with inside(places.paris), socket.create_connection((FRANKFURT, PORT), 5) as attacker:
            attacker.settimeout(5)
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                attacker.sendall(stream)  # the refusal may come while the rest is still being sent
            assert not received_all(attacker)
    after = far.ask()
    assert after["seen"] == before["seen"] and after["duplicated"] == 0
    assert after["events"]["Up"] == 1 and after["state"] == "up"
    assert after["acceptor"].get("replayed", 0) + after["counters"].get("replayed", 0) >= 2


def received_all(connection):
    """What the other side says until it hangs up."""
    found = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while data := connection.recv(4096):
            found += data
    return found


def test_an_address_that_is_not_on_the_list_is_refused_before_any_handshake(places):
    relay = places.relay(seed=2)
    near, far = across(places, frankfurt={"allowed": ["192.0.2.1"]})
    far.until(lambda account: account["acceptor"].get("address", 0) >= 2, "refusals")
    assert far.ask()["state"] != "up" and near.ask()["state"] != "up"
    assert relay.counts()["tcp"] > 0


def test_a_clock_that_is_a_minute_off_is_refused_and_named(places):
    places.relay(seed=2)
    near, far = across(places, paris={"offset_s": 60})
    found = far.until(
        lambda account: account["counters"].get("clock", 0) + account["acceptor"].get("clock", 0) >= 1, "the refusal"
    )
    assert found["state"] != "up" and near.ask()["state"] != "up"


@pytest.mark.slow
def test_ten_thousand_half_handshakes_do_not_keep_the_peer_out_for_a_second(places):
    places.relay(seed=2)
    near, far = across(places)
    both_up(near, far)
    held, opened = [], 0
    try:
        with inside(places.frankfurt):  # beside it, so that the flood is not slowed by the line
            deadline = time.monotonic() + 60
            while opened < 10_000 and time.monotonic() < deadline:
                opened += knock(held)
        assert opened == 10_000
        anew = far.ask()["events"]["Up"]
        near.process.kill()
        near.process.wait(10)
        began = time.monotonic()
        words = words_of(1, 2, call=[FRANKFURT, PORT])
        again = start(words, ["ip", "netns", "exec", places.paris], places.stack)
        started = time.monotonic()
        far.until(lambda account: account["events"]["Up"] > anew, "the peer", 10)
        took = time.monotonic() - started
        print(json.dumps({"opened": opened, "connected_after_s": round(took, 3), "process": round(started - began, 3)}))
        assert took < 1.0
        both_up(again, far)
        assert far.ask()["acceptor"]["full"] > 9_000
    finally:
        for one in held:
            one.close()


def knock(held, count=100):
    """Half a first message on each of some connections; those of before stay open, up to a bound."""
    done = 0
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((FRANKFURT, PORT))
        held.append(one)
        done += 1
    time.sleep(0.005)
    half = wire.PREFIX.pack(wire.HANDSHAKE_MAGIC, wire.VERSION, 1, 0, 1, 2, int(time.time()) // 3600) + b"half"
    for one in held[-count:]:
        with contextlib.suppress(OSError):
            one.send(half)
    while len(held) > 512:
        held.pop(0).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return done


@pytest.mark.slow
def test_a_line_that_is_cut_and_mended_loses_nothing(places):
    relay = places.relay(seed=2)
    near, far = across(places)
    both_up(near, far)
    near.ask(send={"channel": MARKET, "count": 3_000, "bytes": 500, "rate": 600})
    far.until(lambda account: account["seen"].get(str(MARKET), 0) > 300, "a beginning")
    relay.set(cut="both")
    far.until(lambda account: account["events"].get("Suspect", 0) >= 1, "suspicion", 5)
    time.sleep(1.5)
    assert relay.set(cut="")["cut"] > 0
    account = far.until(lambda account: account["seen"].get(str(MARKET)) == 3_000, "everything", 60)
    wholly(account, MARKET, 3_000)
    assert account["events"].get("Trusted", 0) >= 2
