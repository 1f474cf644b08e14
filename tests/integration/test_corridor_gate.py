"""The gate seen through the whole corridor: each state of a book in which no order may leave, with its reason counted."""

import time
from pathlib import Path

import pytest

from gateway.layout import value
from gateway.port import open_port
from gateway.protocols import moldudp64, ouch50, udp
from gateway.protocols.headers import carried_by
from tests.corridor_bench import MILLISECOND_NS, Feed, configuration, count_of, live_pair, replay
from tests.fuzz.corridor_mutations import wrapped

PRICE = 1_000_000
# Buys one share of instrument `target` whenever instrument 9 trades: what it is based on may be old, halted or unknown.
PROBE = """
from gateway.core.strategy import DAY, TRADE, buy

PARAMETERS = {"target": 1, "price": 1_000_000, "quantity": 1}


def on_event(state, event, book, orders):
    if event.kind == TRADE and event.instrument == 9:
        buy(orders, state.target, state.quantity, state.price, DAY)
"""
VALID, STALE, CROSSED, FAULT = (value(f"BOOK_{name}") for name in ("VALID", "STALE", "CROSSED", "FAULT"))


class Probe:
    """A feed with a tradable book 1 and an instrument 9 whose trades make the strategy order."""

    def __init__(self, folder: Path):
        self.folder, self.feed = folder, Feed()
        (folder / "probe.py").write_text(PROBE)
        self.feed.packet(*self.feed.listing(1, "TEST"), *self.feed.listing(9, "BELL"))
        self.feed.packet(self.feed.add(1, "B", 100, PRICE), self.feed.add(2, "S", 100, PRICE + 100))

    def ring(self, passed_ns=MILLISECOND_NS):
        fields = {"buy_sell_indicator": "B", "shares": 1, "stock": "BELL", "price": 5000, "match_number": 1}
        self.feed.packet(self.feed.message("P", 9, **fields), passed_ns=passed_ns)

    def run(self, parameters=None, **settings):
        path, out = self.feed.write(self.folder / "feed.pcap"), self.folder / "orders.pcapng"
        choice = configuration(self.folder / "probe.py", strategy__parameters=parameters or {}, **settings)
        result = replay(path, choice, out=str(out))
        with open_port(f"pcap:{out}") as port:
            result["orders"] = [ouch50.decode(carried_by(frame.data).payload, "inbound") for frame in port]
        return result


@pytest.fixture
def probe(tmp_path):
    return Probe(tmp_path)


def turn_until(live, what, seconds=5):
    """Turns until something is so: a hole is only declared once time has passed."""
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        live.turns(64)


def refused(result, *reasons):
    assert result["rejects"] == dict.fromkeys(reasons, 1), result["rejects"]
    assert result["decisions"] == 1 and result["accepted"] == 0 and result["orders"] == []
    assert result["io"]["orders_transmitted"] == result["io"]["frames_transmitted"] == 0


def passed(result, count=1):
    assert result["accepted"] == count == len(result["orders"]) == result["io"]["orders_transmitted"]
    assert result["orders"][0]["symbol"] == "TEST" and result["orders"][0]["quantity"] == 1


def test_a_good_book_lets_the_order_out(probe):
    probe.ring()
    result = probe.run()
    passed(result)
    assert result["rejects"] == {}


@pytest.mark.parametrize(("passed_ms", "reasons"), [(999, []), (1001, ["stale"])])
def test_a_book_older_than_the_limit_refuses(probe, passed_ms, reasons):
    probe.ring(passed_ms * MILLISECOND_NS)
    result = probe.run()
    refused(result, *reasons) if reasons else passed(result)


@pytest.mark.parametrize("letter", ["H", "P", "Q", "?"])
def test_an_instrument_that_is_not_open_refuses_and_opens_again(probe, letter):
    feed = probe.feed
    feed.packet(feed.message("H", 1, stock="TEST", trading_state=letter))
    probe.ring()
    refused(probe.run(), "state")
    feed.packet(feed.message("H", 1, stock="TEST", trading_state="T"))
    probe.ring()
    passed(probe.run())


def test_an_instrument_nobody_listed_refuses(probe):
    probe.ring()
    result = probe.run({"target": 4711})
    assert result["rejects"].keys() >= {"state", "stale", "price"} and result["accepted"] == 0


def test_an_instrument_outside_the_table_never_becomes_an_intent(probe):
    probe.ring()
    result = probe.run({"target": 1 << 20})
    assert result["decisions"] == 0 and result["orders"] == [] and result["core"]["strategy_faults"] == 0


def test_an_instrument_that_is_not_permitted_or_restricted_refuses(probe):
    probe.ring()
    refused(probe.run(risk__instruments=["BELL"]), "state", "qty", "price", "value", "position", "stale", "perm", "margin")
    refused(probe.run(risk__restricted=["TEST"]), "state")
    passed(probe.run(risk__instruments=["TEST"]))


def test_a_message_of_the_wrong_length_makes_every_book_stale_and_the_gate_refuse(probe):
    feed = probe.feed
    feed.packet(feed.add(3, "B", 100, PRICE)[:-1])
    probe.ring()
    result = probe.run()
    refused(result, "stale")
    assert count_of(result, "message_length") == 1
    assert all(book["flags"] & (VALID | STALE) == STALE for book in result["books"].values())


def test_a_gap_makes_every_book_stale_and_the_gate_refuse(probe):
    probe.feed.sequence += 1
    probe.ring()
    result = probe.run(feed__reorder_window_us=0)
    refused(result, "stale")
    assert (result["core"]["gaps"], result["core"]["gap_messages"]) == (1, 1)


def test_a_block_that_leaves_its_packet_makes_every_book_stale(probe):
    feed = probe.feed
    frame = feed.packet(feed.add(3, "B", 100, PRICE), feed.add(4, "B", 100, PRICE))
    payload = carried_by(frame).payload
    feed.frames[-1] = (feed.time_ns, wrapped(payload[:-1]))
    probe.ring()
    result = probe.run()
    refused(result, "stale")
    assert count_of(result, "block_overrun") == 1 and result["books"][1]["bids"] == [(PRICE, 200, 2)]


def test_an_unknown_message_type_is_counted_and_the_books_stay_good(probe):
    probe.feed.packet(b"z" + bytes(20))
    probe.ring()
    result = probe.run()
    passed(result)
    assert count_of(result, "message_unknown") == 1


def test_a_crossed_book_refuses_until_it_is_uncrossed(probe):
    feed = probe.feed
    feed.packet(feed.add(3, "B", 100, PRICE + 200))
    probe.ring()
    result = probe.run()
    refused(result, "state")
    assert result["core"]["crossed"] == 1 and result["books"][1]["flags"] & CROSSED
    feed.packet(feed.message("D", 1, order_reference_number=3))
    probe.ring()
    passed(probe.run())


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("D", {"order_reference_number": 77}, "order_unknown"),
        ("E", {"order_reference_number": 1, "executed_shares": 101, "match_number": 5}, "quantity_excess"),
        ("X", {"order_reference_number": 1, "canceled_shares": 0}, "message_field"),
    ],
)
def test_a_feed_that_contradicts_a_book_makes_that_book_untrusted(probe, kind, fields, reason):
    probe.feed.packet(probe.feed.message(kind, 1, **fields))
    probe.ring()
    result = probe.run()
    refused(result, "state")
    assert count_of(result, reason) == 1
    assert result["books"][1]["flags"] & FAULT and not result["books"][9]["flags"] & FAULT


def test_a_feed_joined_in_its_middle_is_never_traded_on(tmp_path):
    probe = Probe(tmp_path)
    probe.feed.frames.pop(0)
    probe.feed.packet(*probe.feed.listing(1, "TEST"), *probe.feed.listing(9, "BELL"))
    probe.ring()
    result = probe.run()
    assert "stale" in result["rejects"] and result["orders"] == []


def test_the_latch_the_epoch_and_a_full_stop_refuse_at_the_gate(probe):
    probe.ring()
    frames = [frame for _, frame in probe.feed.frames]
    for field, number, reason in (("kill_latch", 1, "kill"), ("epoch", 2, "fence"), ("lease_expires_ns", 1, "fence")):
        with live_pair(configuration(probe.folder / "probe.py")) as (live, peer):
            live.instance.control[0][field] = number
            assert peer.transmit(frames) == len(frames)
            live.turns(8)
            result = live.result()
            assert result["rejects"] == {reason: 1} and result["accepted"] == 0
            assert peer.receive() == []


def test_a_strategy_that_raises_leaves_an_intent_that_is_refused_and_is_not_asked_again(probe):
    text = PROBE.replace("state.price, DAY)\n", "state.price, DAY)\n        raise ValueError\n")
    (probe.folder / "probe.py").write_text(text)
    probe.ring()
    probe.ring()
    result = probe.run()
    refused(result, "disabled")
    assert result["core"]["strategy_faults"] == 1 and result["core"]["messages"] == 8, "the books go on"


def test_a_lost_report_stops_new_risk(probe):
    feed = probe.feed
    probe.ring()
    with live_pair(configuration(probe.folder / "probe.py", feed__reorder_window_us=0)) as (live, peer):
        assert peer.transmit([frame for _, frame in feed.frames])
        live.turns(8)
        assert len(peer.receive()) == 1
        message = ouch50.encode("SystemEvent", timestamp=1, event_code="S")
        for sequence in (1, 3):  # the second of three never came
            packet = moldudp64.encode("REPORTS", sequence, [message])
            frame = udp.frame(packet, destination="10.77.0.1", destination_port=41001)
            assert peer.transmit([frame]) == 1
            live.turns(4)
        turn_until(live, lambda: live.counters["core"]["report_gaps"])
        probe.ring()
        assert peer.transmit([feed.frames[-1][1]]) == 1
        live.turns(8)
        result = live.result()
        assert result["core"]["report_gaps"] == 1 and result["report_packets"]["gap_messages"] == 1
        assert result["rejects"] == {"session": 1} and peer.receive() == []


def test_reports_of_another_session_are_counted_where_they_can_be_seen(probe):
    with live_pair(configuration(probe.folder / "probe.py")) as (live, peer):
        for session in ("REPORTS", "OTHER"):
            packet = moldudp64.encode(session, 1, [ouch50.encode("SystemEvent", timestamp=1, event_code="S")])
            assert peer.transmit([udp.frame(packet, destination="10.77.0.1", destination_port=41001)]) == 1
        live.turns(8)
        result = live.result()
    assert result["report_reasons"] == {"session_other": 1} and result["report_packets"]["packets"] == 2


def test_frames_for_somebody_else_are_counted_and_ignored(probe):
    with live_pair(configuration(probe.folder / "probe.py")) as (live, peer):
        frame = udp.frame(b"hello", destination="239.192.1.9", destination_port=31001)
        assert peer.transmit([frame] * 3) == 3
        live.turns(8)
        assert live.result()["feed_reasons"] == {"not_ours": 3}


def test_a_full_ring_drops_the_newest_counts_them_and_the_corridor_recovers(probe):
    feed = probe.feed
    with live_pair(configuration(probe.folder / "probe.py", feed__reorder_window_us=0)) as (live, peer):
        assert peer.transmit([frame for _, frame in feed.frames]) == 2
        live.turns(4)
        frames = [feed.packet(feed.add(1000 + number, "B", 1, PRICE - 100)) for number in range(9000)]
        for first in range(0, len(frames), 64):
            group = frames[first : first + 64]
            assert peer.transmit(group) == len(group)
            live.turns(1, stages="io")  # core hangs
        io = live.counters["io"]
        dropped = int(io["drop_ring_full"])
        assert dropped >= 9000 - 8192 and io["frames_received"] == 9002 == io["frames_published"] + dropped
        live.turns(400)
        probe.ring()
        assert peer.transmit([feed.frames[-1][1]]) == 1
        turn_until(live, lambda: live.counters["core"]["gaps"])
        result = live.result()
        assert result["core"]["frames"] == result["io"]["frames_published"]
        assert (result["core"]["gaps"], result["core"]["gap_messages"]) == (1, dropped)
        assert result["rejects"] == {"stale": 1} and result["books"][1]["flags"] & STALE
        assert peer.receive() == []


def test_more_decisions_than_the_journal_holds_do_not_stop_a_replay(tmp_path):
    strategy = tmp_path / "many.py"
    strategy.write_text(
        "from gateway.core.strategy import DAY, buy\n\n\ndef on_event(state, event, book, orders):\n"
        "    for _ in range(16):\n        buy(orders, 1, 1_000_000, 1, DAY)\n"
    )
    feed = Feed()
    feed.packet(*feed.listing())
    for number in range(100):
        feed.packet(*[feed.add(100 * number + index, "B", 1, PRICE) for index in range(45)])
    result = replay(feed.write(tmp_path / "feed.pcap"), configuration(strategy))
    assert result["decisions"] == result["core"]["intents"] == 16 * 4502 > 65536
    assert "journal" not in result["rejects"] and result["rejects"]["qty"] == result["decisions"]


def test_orders_of_a_recording_with_long_pauses_leave(probe):
    """A recording's clock jumps from one frame of a burst to the next: that is no reason to call an order late."""
    for _ in range(5):
        probe.feed.packet(probe.feed.add(probe.feed.sequence + 50, "B", 1, PRICE - 100), passed_ns=5_000 * MILLISECOND_NS)
        probe.ring()
    result = probe.run()
    passed(result, 5)
    assert result["io"]["orders_blocked_late"] == 0
