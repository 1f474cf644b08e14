"""A peer that has the keys and lies: every message it can make ends in a reason or in nothing, never in a fault of ours."""

from random import Random

import pytest

from gateway.link.frames import bodies, wire
from gateway.link.frames.wire import Flag, Message, Type
from gateway.link.peers import acknowledgement, channel
from gateway.link.peers.event import Alarm, Delivered, Down
from tests.link.pair import MILLISECOND, SECOND, Pair

CONTROL, BULK = wire.CONTROL, wire.BULK
EDGES = (0, 1, 2, 7, 255, 1 << 16, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, (1 << 64) - 1)


def lie(pair: Pair, connection: int, message: Message) -> None:
    """The initiator's own sealer signs whatever it is told to."""
    lane = pair.peers[0]._session.lanes[connection]
    assert lane is not None
    pair.peers[1].received(connection, lane.seal(message, wire.crc32(message.body)), pair.now_ns)


def said(body: bytes, **fields: int) -> Message:
    values = {
        "type": Type.DATA,
        "channel": 0,
        "flags": 0,
        "fence": 0,
        "sequence": 1,
        "sent_ns": 0,
        "schema": 0,
        "token_id": 0,
    }
    return Message(**(values | {"raw_bytes": len(body)} | fields), body=body)  # type: ignore[arg-type]


def acknowledged(channel: int, gap: int, in_order: int, highest: int, limit: int) -> Message:
    body = acknowledgement.pack(False, (1, 2), (3, 4), [(channel, gap, in_order, highest, limit)])
    return said(body, type=Type.ACK, sequence=0)


@pytest.mark.parametrize(
    ("connection", "message", "reason"),
    [
        (CONTROL, said(b"x", channel=9), "channel"),
        (CONTROL, said(b"x", channel=channel.MARKET_DATA), "channel"),
        (BULK, said(b"x", channel=channel.CONTROL), "channel"),
        (CONTROL, said(b"x", sequence=0), "sequence"),
        (CONTROL, said(b"x", sequence=1 << 63), "sequence"),
        (CONTROL, said(b"x", type=Type.ACK), "body"),
        (CONTROL, said(b"x", type=Type.NAK), "body"),
        (CONTROL, said(b"x", type=Type.HEARTBEAT), "body"),
        (CONTROL, said(b"x", type=Type.FENCE), "body"),
        (CONTROL, said(b"x", type=Type.GOAWAY), "body"),
        (BULK, acknowledged(0, 0, 0, 0, 0), "body"),
        (CONTROL, acknowledged(9, 0, 0, 0, 0), "sequence"),
        (CONTROL, acknowledged(0, 0, 1, 1, 0), "sequence"),
        (CONTROL, acknowledged(0, 0, (1 << 64) - 1, 0, 0), "sequence"),
    ],
)
def test_what_cannot_be_ends_the_session_with_its_reason(connection: int, message: Message, reason: str):
    pair = Pair().up()
    lie(pair, connection, message)
    pair.take(1)
    assert [event.reason for event in pair.of(1, Down)] == [reason]
    assert [event.reason for event in pair.of(1, Alarm)] == [reason.upper()]
    assert pair.peers[1].counters[reason] == 1


def test_fragments_without_an_end_and_messages_between_fragments_end_the_session():
    part = bytes(16_000)
    pair = Pair().up()
    for sequence in range(1, 80):
        if pair.peers[1].state == "up":
            lie(pair, CONTROL, said(part, channel=channel.EXECUTIONS, sequence=sequence, flags=Flag.FRAGMENT))
    pair.take(1)
    assert [event.reason for event in pair.of(1, Down)] == ["fragment"]
    pair = Pair().up()
    lie(pair, CONTROL, said(part, sequence=1, flags=Flag.FRAGMENT))
    lie(pair, CONTROL, said(b"between", sequence=2))
    pair.take(1)
    assert [event.reason for event in pair.of(1, Down)] == ["fragment"]
    assert not pair.of(1, Delivered)


def message_of(random: Random) -> Message:
    """Anything that can be sealed."""
    kind = random.choice([kind for kind in Type if kind is not Type.EPOCH])
    body = random.choice(
        [
            b"",
            random.randbytes(random.randrange(200)),
            acknowledgement.pack(
                random.random() < 0.5,
                (random.choice(EDGES[:7]), 0),
                (random.choice(EDGES), random.choice(EDGES)),
                [
                    (random.randrange(256), random.choice(EDGES[:7]), *(random.choice(EDGES) for _ in range(3)))
                    for _ in range(random.randrange(20))
                ],
            ),
            acknowledgement.pack_missing(*(random.choice(EDGES[:7]) for _ in range(3)), random.choice(EDGES)),
            bodies.pack_fence(random.choice((0, 0, 0, 1))),
        ]
    )
    flags = random.choice((0, 0, 2, 4, 8, 16, 24, 30))
    place = {"channel": random.choice((0, 1, 2, 3, 4, 5, 9, 15)), "sequence": random.choice((1, 2, 3, 9, *EDGES))}
    return said(body, type=kind, flags=flags, sent_ns=random.choice(EDGES), **place)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_a_peer_with_keys_can_say_is_a_fault_of_ours(seed: int):
    random = Random(seed)
    pair = Pair(seed=seed, retry_first_ns=MILLISECOND, retry_last_ns=MILLISECOND).up()
    ended = 0
    for _ in range(400):
        for peer, number in ((0, 0), (1, 1), (1, 2)):
            pair.send(peer, number, b"honest")
        if pair.peers[0].state == pair.peers[1].state == "up" and pair.connected == {0, 1}:
            lanes = pair.peers[0]._session.lanes
            for _ in range(random.randrange(1, 4)):
                connection = random.randrange(2)
                if lanes[connection] is not None and pair.peers[1].state == "up":
                    lie(pair, connection, message_of(random))
        pair.peers[0].fence = pair.peers[1].fence = max(
            pair.peers[0].fence,
            pair.peers[1].fence,
            *(event.fence for side in (0, 1) for event in pair.events[side] if type(event).__name__ == "Fenced"),
            0,
        )
        pair.run(3 * MILLISECOND)
        ended += len(pair.of(1, Down))
        for events in pair.events:
            events.clear()
        if pair.peers[1].counters["sequence"] and pair.peers[0].state != "up":
            pair.restart(0)
    assert ended > 50
    pair.restart(0)
    pair.run(SECOND)
    assert [peer.state for peer in pair.peers] == ["up", "up"]
