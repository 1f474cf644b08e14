"""Random and mutated order messages: every frame is counted once, and whatever was said, the accounts still agree."""

import random

import pytest

from gateway.protocols import itch50, ouch50
from gateway.venues.simulator.books import books
from tests.naive_venue import FeedBooks
from tests.venues.desk import Desk, order_frame, quiet

SEEDS = (1, 2, 3)
MESSAGES = 3_000
FATES = (
    "frames_foreign",
    "frames_malformed",
    "messages_unsupported",
    "queries_received",
    "orders_received",
    "replaces_received",
    "cancels_received",
)


def corpus(desk: Desk) -> list[bytes]:
    """One valid message of every kind; references and prices are mutated from there."""
    terms = {"quantity": 100, "price": desk.middle(), "time_in_force": "0", "display": "Y"}
    return [
        desk.order(),
        desk.order("S"),
        desk.order("S", life="3"),
        ouch50.encode("ReplaceOrder", orig_user_ref_num=1, user_ref_num=2, **terms),
        ouch50.encode("CancelOrder", user_ref_num=1, quantity=1),
        ouch50.encode("MassCancel", user_ref_num=9, firm="A", symbol=""),
        ouch50.encode("EnterOrder", user_ref_num=5, min_qty=7, post_only="P", **terms),
        ouch50.encode("ModifyOrder", user_ref_num=1, side="S", quantity=1),
        ouch50.encode("AccountQuery"),
    ]


def mutated(rng: random.Random, message: bytes, reference: int) -> bytes:
    """The message with a fresh reference, then some bytes changed, cut off or added."""
    data = bytearray(message)
    if len(data) > 9:
        data[1:5] = reference.to_bytes(4, "big")
    if data[:1] == b"U":
        data[1:9] = rng.randrange(reference + 1).to_bytes(4, "big") + reference.to_bytes(4, "big")
    for _ in range(rng.choice((0, 0, 1, 3))):
        # not the references themselves: one leap there and everything after it is "not new"
        if len(data) > 9:
            data[rng.choice((0, *range(9, len(data))))] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    drawn = rng.random()
    if drawn < 0.1:
        return bytes(data[: rng.randrange(len(data) + 1)])
    return bytes(data) + rng.randbytes(rng.randrange(40)) if drawn < 0.2 else bytes(data)


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_messages_are_counted_and_harm_nothing(seed):
    print("seed", seed)
    rng, desk = random.Random(seed), Desk(quiet())
    messages = corpus(desk)
    for number in range(MESSAGES):
        frame = bytearray(order_frame(mutated(rng, rng.choice(messages), number)))
        if rng.random() < 0.1:
            frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.05:
            frame = frame[: rng.randrange(len(frame))]
        assert desk.bench.send(bytes(frame))
        if number % 300 == 299:
            desk.step()
    desk.step()
    counters = desk.venue.counters
    assert counters["frames_received"] == MESSAGES == sum(int(counters[fate]) for fate in FATES)
    assert counters["orders_accepted"] > 100 and counters["orders_rejected"] > 10
    whole = 2 * counters["shares_traded"] + counters["shares_cancelled"] + counters["resting_shares"]
    assert counters["shares_entered"] == whole
    rebuilt = FeedBooks()
    for data in desk.feed:
        rebuilt.apply(itch50.decode(data))
    for book in books(desk.venue):
        assert rebuilt.levels(book.locate, "B") == book.bids
        assert rebuilt.levels(book.locate, "S") == book.asks
    for data in desk.reports:
        ouch50.decode(data, ouch50.OUTBOUND)


@pytest.mark.parametrize("price", [0, 1, 2**31, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1])
def test_a_price_at_any_end_of_the_field_is_only_rejected(price):
    desk = Desk(quiet())
    message = bytearray(desk.order())
    offset = ouch50.offsets_of("EnterOrder").price
    message[offset : offset + 8] = price.to_bytes(8, "big")
    (rejected,) = desk.ask(bytes(message))
    assert rejected["reason"] == 0x1D
