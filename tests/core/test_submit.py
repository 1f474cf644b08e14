"""From intents to frames ⑧: what stands in core_io and core_journal, byte by byte."""

import random

import pytest

from gateway import layout
from gateway.core.order_frames import DIGITS, OrderFrames, base32, client_order_id
from gateway.errors import ConfigurationError
from gateway.protocols import ouch50
from tests.order_desk import ENDPOINTS, EPOCH, NOW_NS, Desk

SELL = layout.value("SIDE_SELL")
HEADERS_BYTES = 42


@pytest.fixture
def desk():
    return Desk().open()


def decoded(frame):
    """The OUCH message of a frame."""
    return ouch50.decode(frame[HEADERS_BYTES:], ouch50.INBOUND)


def believe(frame):
    """Checks every header with scapy's own arithmetic."""
    ether = pytest.importorskip("scapy.layers.inet").Ether
    packet = ether(frame)
    ip, udp = packet["IP"], packet["UDP"]
    checksums = ip.chksum, udp.chksum
    del ip.chksum, udp.chksum
    again = ether(bytes(packet))
    assert (again["IP"].chksum, again["UDP"].chksum) == checksums
    assert len(frame) == 14 + ip.len and udp.len == ip.len - 20 and checksums[1] != 0
    return packet


def test_a_buy_is_one_enter_order_in_one_datagram(desk):
    assert desk.send(quantity=100, price=1_000_200) == set()
    ((slot, frame),) = desk.sent()
    packet = believe(frame)
    assert (packet.src, packet.dst) == ("02:00:0a:4d:00:01", "02:00:0a:4d:00:02")
    assert (packet["IP"].src, packet["IP"].dst) == ("10.77.0.1", "10.77.0.2")
    assert (packet["UDP"].sport, packet["UDP"].dport, packet["IP"].flags) == (41001, 41002, "DF")
    message = decoded(frame)
    expected = {"user_ref_num": 1, "side": "B", "quantity": 100, "symbol": "AAPL", "time_in_force": "3", "capacity": "P"}
    assert {name: message[name] for name in expected} == expected
    assert str(message["price"]) in ("100.02", "100.0200") and message["cl_ord_id"] == "A0000700000001"
    assert (slot["kind"], slot["epoch"], slot["reference"]) == (layout.value("ORDER_SLOT_NEW"), EPOCH, 1)
    assert (slot["time_receive_ns"], slot["ticks_receive"], slot["ticks_decode"]) == (NOW_NS, 11, 22)
    assert slot["ticks_order"] > 0


def test_a_sale_for_the_day_says_so(desk):
    desk.send(side=SELL, time_in_force=0, instrument=2)
    message = decoded(desk.sent()[0][1])
    assert (message["side"], message["time_in_force"], message["symbol"]) == ("S", "0", "MSFT")


def test_a_cancel_a_reduction_a_replacement_and_a_mass_cancel_are_their_messages(desk):
    desk.send()
    desk.send("REPLACE", order_reference=1, quantity=60, price=1_000_300)
    desk.send("CANCEL", order_reference=1, quantity=50)
    desk.send("CANCEL", order_reference=1)
    desk.send("MASS_CANCEL", instrument=1)
    pairs = desk.sent()
    kinds = [layout.names("order_slot_kind", "ORDER_SLOT_")[int(slot["kind"])] for slot, _ in pairs]
    assert kinds == ["NEW", "NEW", "REDUCE", "CANCEL", "CANCEL"]
    replaced, reduced, cancelled, mass = (decoded(frame) for _, frame in pairs[1:])
    assert (replaced["orig_user_ref_num"], replaced["user_ref_num"], replaced["quantity"]) == (1, 2, 60)
    assert replaced["cl_ord_id"] == "A0000700000002"
    assert (reduced["user_ref_num"], reduced["quantity"]) == (1, 50)
    assert (cancelled["user_ref_num"], cancelled["quantity"]) == (1, 0)
    assert (mass["user_ref_num"], mass["symbol"]) == (3, "AAPL")
    for _, frame in pairs:
        believe(frame)


def test_a_seeded_thousand_of_orders_all_carry_right_checksums():
    draw = random.Random(7)
    desk = Desk(orders_rows=2048, firm="FIRM").open()
    desk.set_limits(1, tick=1, quantity_max=10**6, value_max=2**62, position_max=2**40)
    desk.set_account(rate_per_second=10**9, rate_burst=10**6, capital=2**60, gross_max=2**60, net_max=2**60)
    desk.settle()
    desk.table["next_reference"] = 2**31 - 1 - 1500
    for _ in range(1000):
        desk.recent["times_ns"] = 0
        assert desk.send(price=draw.randrange(950_100, 1_050_000), quantity=draw.randrange(1, 10**6)) == set()
        ((_, frame),) = desk.sent()
        desk.journal.drain()
        assert udp_sum(frame) == 0xFFFF
    assert decoded(frame)["firm"] == "FIRM"


def udp_sum(frame):
    """RFC 768, word by word: pseudo header and datagram, checksum included."""
    udp = frame[34:]
    data = frame[26:34] + bytes([0, 17]) + len(udp).to_bytes(2, "big") + udp + b"\0" * (len(udp) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("reference", [1, 9, 10, 31, 32, 1023, 2**20, 0x1F0F1F0F, 2**31 - 2, 2**31 - 1])
def test_the_client_order_id_is_a_function_of_site_epoch_and_reference(reference):
    desk = Desk().open()
    desk.table["next_reference"] = reference
    assert desk.send() == set()
    identifier = decoded(desk.sent()[0][1])["cl_ord_id"]
    assert identifier == client_order_id("A", EPOCH, reference) == desk.frames.client_order_id(reference)
    assert len(identifier) == 14 and int(identifier[6:], 32) == reference


def test_base_32_keeps_its_zeros_and_its_order():
    assert base32(0, 3) == "000" and base32(32**3 - 1, 3) == "VVV" and base32(32, 2) == "10"
    assert sorted(DIGITS) == list(DIGITS)


def test_the_tool_that_kills_writes_the_same_cancel_as_the_core(desk):
    desk.send()
    desk.send("CANCEL", order_reference=1)
    desk.send("MASS_CANCEL", instrument=1)
    frames = [frame for _, frame in desk.sent()][1:]
    assert frames == [desk.frames.cancel(1), desk.frames.mass_cancel(2, "AAPL")]


def test_a_refused_intent_leaves_no_frame_and_spends_its_reference(desk):
    desk.intend(quantity=0)
    desk.intend()
    assert desk.submit() == 1
    ((slot, _),) = desk.sent()
    assert slot["reference"] == 2 and desk.intents["next_reference"][0] == 3
    assert desk.intents["count"][0] == 0 and desk.counters["intents"][0] == 2


def test_every_decision_is_journalled_with_its_reasons(desk):
    desk.intend(quantity=0, signal_id=5)
    desk.intend(signal_id=6)
    desk.submit()
    refused, passed = desk.records()
    bits = {1 << layout.value("GATE_QTY"), 1 << layout.value("GATE_VALUE")}
    assert (refused["reference"], refused["reasons"], refused["intent"]["signal_id"]) == (1, sum(bits), 5)
    assert (passed["reference"], passed["reasons"], passed["intent"]["signal_id"]) == (2, 0, 6)
    assert passed["kind"] == layout.value("JOURNAL_DECISION") and passed["time_ns"] == NOW_NS


def test_what_was_sent_is_counted(desk):
    desk.send()
    desk.send("CANCEL", order_reference=1)
    desk.send("CANCEL", order_reference=9)
    assert (desk.counters["orders_sent"][0], desk.counters["cancels_sent"][0]) == (1, 1)


def test_a_second_order_of_one_call_sees_what_the_first_reserved(desk):
    desk.set_limits(1, position_max=150)
    desk.intend(quantity=100)
    desk.intend(quantity=100)
    assert desk.submit() == 1
    assert desk.rows["open_buy"][1] == 100


def test_cancels_leave_while_the_latch_is_set_and_orders_do_not(desk):
    desk.send()
    desk.control["kill_latch"] = layout.value("KILL_COMMAND")
    assert desk.send() == {"KILL"}
    assert desk.send("CANCEL", order_reference=1) == set()
    assert [int(slot["kind"]) for slot, _ in desk.sent()] == [
        layout.value("ORDER_SLOT_NEW"),
        layout.value("ORDER_SLOT_CANCEL"),
    ]


@pytest.mark.parametrize(("epoch", "site"), [(0, "A"), (32**5, "A"), (1, "AB"), (1, ""), (1, "é"), (1, "-")])
def test_a_site_or_epoch_that_does_not_fit_the_client_order_id_is_refused(epoch, site):
    with pytest.raises(ConfigurationError):
        OrderFrames(**ENDPOINTS, epoch=epoch, site=site)
