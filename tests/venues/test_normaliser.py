"""Generated normalisers against their slow twin: recorded packets, damaged ones, packets of more events than fit."""

import random
from pathlib import Path

import pytest

from gateway import limits
from gateway.layout import value
from gateway.protocols.sbe.interpreter import encode
from tests.venues.feeds import SCHEMAS, Defined, brief, packets

CAPTURES = {
    "cme_mdp3": ("cme-mdp3-sbe/Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap", 99, 1_583),
    "deribit": ("deribit-multicast-sbe/sample_capture_v1_6.pcapng", 5_066, 8_712),
    "euronext_optiq": ("euronext-optiq-mdg-sbe/MultipleMessages.pcap", 1, 3),
}
MUTATIONS = 1_500  # per feed; the long test takes a hundred times as many
GAP = value("EVENT_GAP")


@pytest.fixture(scope="module")
def defined(shared_data: Path):
    """Feeds by name, made once."""
    made: dict[str, Defined] = {}

    def of(name: str) -> Defined:
        if name not in made:
            made[name] = Defined(name, shared_data / SCHEMAS[name])
        made[name].begin_anew()
        return made[name]

    return of


def compare(feed: Defined, payload: bytes, where: str) -> int:
    """Asserts that both sides find the same events; returns how many."""
    got, expected = feed.run(payload), feed.expected(payload)
    for one, other in zip(got, expected, strict=False):
        assert one == other, f"{where}: {brief(one)} is not {brief(other)}"
    assert len(got) == len(expected), f"{where}: {len(got)} events, not {len(expected)}"
    return len(got)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_recording_gives_the_events_of_the_slow_twin(name: str, defined, shared_data: Path):
    path, count, events = CAPTURES[name]
    feed = defined(name)
    found = 0
    for number, payload in enumerate(packets(shared_data / path), 1):
        found += compare(feed, payload, f"packet {number}")
        count -= 1
    assert (count, found) == (0, events)
    assert feed.reasons() == dict(feed.naive.reasons)


def mutate(draw: random.Random, payload: bytes) -> bytes:
    """A packet with bytes changed, cut off or put in."""
    data = bytearray(payload)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(data)) if data else 0
        action = draw.randrange(4)
        if action == 0 and data:
            data[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, draw.randrange(256)))
        elif action == 1:
            del data[place:]
        elif action == 2 and data:
            data[place : place + 8] = draw.randbytes(len(data[place : place + 8]))
        else:
            data[place:place] = draw.randbytes(draw.randint(1, 4))
    return bytes(data[:2000])


def fuzz(feed: Defined, originals: list[bytes], count: int, seed: int) -> None:
    """Damaged packets through both sides: where the twin believes the packet, the events agree; elsewhere nothing breaks."""
    draw = random.Random(seed)
    for number in range(count):
        payload = mutate(draw, draw.choice(originals))
        feed.begin_anew()
        where = f"seed {seed}, mutation {number}, packet {payload.hex()}"
        got = feed.run(payload)
        expected = feed.expected(payload)
        refused = feed.naive.reader.read(payload).refused
        if not refused:
            for one, other in zip(got, expected, strict=False):
                assert one == other, f"{where}: {brief(one)} is not {brief(other)}"
            assert len(got) == len(expected), where
        else:
            assert feed.reasons(), f"{where}: {refused} was not counted"


@pytest.mark.slow
@pytest.mark.parametrize("name", CAPTURES)
def test_damaged_packets_give_the_events_of_the_slow_twin_or_are_counted(name: str, defined, shared_data: Path):
    fuzz(defined(name), list(packets(shared_data / CAPTURES[name][0]))[:400], MUTATIONS, seed=sum(name.encode()))


@pytest.mark.long
@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("seed", range(20))
def test_many_damaged_packets_give_the_events_of_the_slow_twin(name: str, seed: int, defined, shared_data: Path):
    fuzz(defined(name), list(packets(shared_data / CAPTURES[name][0])), 100 * MUTATIONS // 20, seed)


def deribit_book(feed: Defined, entries: int) -> bytes:
    """A packet with one book message of so many changes."""
    change = {"side": "bid", "change": "created", "price": 1.5, "amount": 2.0}
    values = {"instrumentId": 7, "timestampMs": 1, "prevChangeId": 4, "changeId": 5, "isLast": "yes"}
    message = feed.schema.message_named("book")
    assert message is not None
    body = encode(feed.schema, message, {**values, "changesList": [{**change, "price": 1.5 + n} for n in range(entries)]})
    return len(body).to_bytes(2, "little") + b"\1\0" + b"\t\0\0\0" + body


@pytest.mark.parametrize("entries", [510, 511, 512, 513, 1_500])
def test_a_message_of_more_events_than_fit_comes_in_several_calls_without_loss(entries: int, defined):
    feed = defined("deribit")
    payload = deribit_book(feed, entries)
    assert compare(feed, payload, f"{entries} entries") == entries + 1
    assert int(feed.counters[0]["messages"]) == 1
    assert entries < limits.EVENTS_MAX or feed.row[0]["cursor"] == 1


def test_a_double_that_is_no_number_makes_the_book_of_its_instrument_stale(defined):
    feed = defined("deribit")
    payload = deribit_book(feed, 1)
    place = payload.index(bytes.fromhex("000000000000f83f"))
    events = feed.run(payload[:place] + b"\xff" * 8 + payload[place + 8 :])
    assert [(event["kind"], event["flags"]) for event in events[1:]] == [(GAP, value("EVENT_ONE_INSTRUMENT"))]
    assert feed.reasons() == {"message_field": 1}
