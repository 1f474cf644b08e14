"""Two gateways and the ways between them in virtual time: one seed, one run, and a referee that sees both ends.

    Side A (dials) ═══ Way 0 ═══► Side B (listens)
                   ◄══ Way 1 ═══

The referee knows every body that an application handed over. Whatever is delivered must be one of them, once, in its
channel's order; whatever may not be lost must have arrived when the run ends; no key seals twice under one nonce.
"""

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from gateway.link.channel import CHANNELS, ChannelPolicy
from gateway.link.peer import Peer
from gateway.link.peer_settings import PeerSettings, RekeySettings
from tests.sim.link_keys import PAIR, private_key, public_key
from tests.sim.link_network import MILLISECOND, SECOND, Clock, Counts, Faults, Flow, Way
from tests.sim.link_nonces import Nonces
from tests.sim.link_plan import Break, Plan
from tests.sim.link_side import Side, Socket

BEGIN_NS = 1_760_000_000 * SECOND + 500 * MILLISECOND
HOUR_NS = 3600 * SECOND
LATEST = {row.number for row in CHANNELS if row.policy is ChannelPolicy.LATEST}
HELD_FACTOR = 4  # bytes that a channel may hold for one byte of its capacity, both directions and headers included


class OneSecret:
    """A key service that always answers."""

    def hourly(self, hour: int) -> bytes | None:
        return sha256(b"an hour of the simulation" + hour.to_bytes(4, "little")).digest()


class World:
    """A run; `problems` is empty when all went well."""

    def __init__(self, plan: Plan, nonces: Nonces):
        self.plan, self.nonces = plan, nonces
        self.random = Random(plan.seed ^ 0x5EED)
        self.clock = Clock(BEGIN_NS)
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.problems: list[str] = []
        self.packets = Counts()
        self.dialling: set[int] = set()
        self.ways = tuple(Way(self.clock, self.random, faults, self.packets) for faults in plan.ways)
        self.flows: list[Flow] = []
        self.slow_until_ns = [0, 0]
        self._recorded: list[bytes] = []
        self._given: list[dict[int, int]] = [{}, {}]  # side -> channel -> messages handed over
        self._known: list[dict[bytes, int]] = [{}, {}]  # side -> body -> place in its channel
        self._last: list[dict[tuple[int, int], int]] = [{}, {}]  # receiving side -> (channel, key) -> place of the last one
        self._gap_allowed = [set[int](), set[int]()]
        self._must: list[dict[bytes, None]] = [{}, {}]  # sending side -> bodies that have to arrive
        self._arrived: list[set[bytes]] = [set(), set()]
        self.sides = [Side(self, "a", self._maker(0), False), Side(self, "b", self._maker(1), True)]
        self.ways[0].datagram_delivers = lambda data: self.sides[1].bring(None, data)
        self.ways[1].datagram_delivers = lambda data: self.sides[0].bring(None, data)

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return self.clock.now_ns

    def _maker(self, index: int) -> Callable[[], Peer]:
        def make() -> Peer:
            settings = PeerSettings(
                node=PAIR[index],
                remote_node=PAIR[1 - index],
                initiator=index == 0,
                boot_id=self.random.randbytes(16),
                private_key=private_key(PAIR[index]),
                remote_public_key=public_key(PAIR[1 - index]),
                rekey=RekeySettings(frames=self.plan.rekey_frames),
            )
            return Peer(settings, OneSecret(), self.random.randbytes, self.nonces.unpack)

        return make

    # ---- the network -----------------------------------------------------------------------------------------------

    def way_from(self, side: Side) -> Way:
        """The way that leaves from a side."""
        return self.ways[self.sides.index(side)]

    def dial(self, connection: int) -> None:
        """A connects to B: it stands after a round trip, or never does while a way is cut."""
        self.dialling.add(connection)
        life = self.sides[0].lives
        if any(way.faults.cut for way in self.ways):
            self.clock.at(self.now_ns + SECOND // 2, self._not_connected, connection, life)
            return
        delays = [way.faults.delay_ns(self.random) for way in self.ways]
        self.clock.at(self.now_ns + sum(delays), self._connected, connection, life)

    def _not_connected(self, connection: int, life: int) -> None:
        self.dialling.discard(connection)
        if self.sides[0].lives == life:
            self.sides[0].peer.closed(connection, self.now_ns)
            self.sides[0].work()

    def _connected(self, connection: int, life: int) -> None:
        self.dialling.discard(connection)
        if self.sides[0].lives != life:
            return
        ours, theirs = self.join()
        if not self._recorded:
            record = ours.out.write
            ours.out.write = lambda data: (self._recorded.append(bytes(data)), record(data))[1]  # type: ignore[method-assign]
        self.sides[1].accepted(theirs)
        self.sides[0].connected(ours, connection)

    def join(self) -> tuple[Socket, Socket]:
        """A TCP connection between the sides, as each end sees it."""
        ours = Socket(Flow(self.ways[0], lambda data: self.sides[1].bring(theirs, data)))
        theirs = Socket(Flow(self.ways[1], lambda data: self.sides[0].bring(ours, data)))
        self.flows += [ours.out, theirs.out]
        return ours, theirs

    # ---- what goes wrong -------------------------------------------------------------------------------------------

    def fault(self, fault: Break) -> None:
        """Begins one; what lasts is mended after its time."""
        self.counts[fault.kind] += 1
        side = self.sides[fault.side]
        end_ns = self.now_ns + fault.for_ns
        match fault.kind:
            case "cut" | "cut_one_way":
                ways = self.ways if fault.kind == "cut" else (self.ways[fault.side],)
                for way in ways:
                    way.faults.cut = True
                self.clock.at(end_ns, self.mend)
            case "pause":
                side.asleep_until_ns = end_ns
                side.work()
            case "reset":
                self._break_connection(fault.side, both=True)
            case "half_open":
                self._break_connection(fault.side, both=False)
            case "restart":
                side.die()
                side.begin()
                self._forget(fault.side)
                side.work()
            case "replay":
                self._replay()
            case "slow_reader":
                self.slow_until_ns[fault.side] = end_ns

    def mend(self) -> None:
        """No way is cut any more."""
        for way in self.ways:
            way.faults.cut = False
        for flow in self.flows:
            flow.restore()

    def _break_connection(self, index: int, both: bool) -> None:
        """A connection vanishes; the other side hears of it, or does not."""
        side = self.sides[index]
        if not side.sockets:
            return
        number, socket = sorted(side.sockets.items())[self.random.randrange(len(side.sockets))]
        other = self.sides[1 - index].sockets.get(number)
        socket.out.open = False
        socket.gone = True
        del side.sockets[number]
        if other is not None:
            other.out.open = False
            if both:
                other.gone = True
                self.sides[1 - index].sockets.pop(number, None)
                self.sides[1 - index].peer.closed(number, self.now_ns)
                self.sides[1 - index].work()
        side.peer.closed(number, self.now_ns)
        side.work()

    def _replay(self) -> None:
        """Somebody who recorded A's first connection plays it to B again."""
        if self._recorded:
            _, theirs = self.join()
            self.sides[1].accepted(theirs)
            for data in [*self._recorded]:
                self.clock.at(self.now_ns + MILLISECOND, self._play, theirs, data)

    def _play(self, socket: Socket, data: bytes) -> None:
        self.sides[1].bring(socket, data)
        if socket.number >= 0:
            self.problems.append("a replayed connection was adopted")

    def reading_ns(self, side: Side) -> int:
        """How long its application takes to read a message."""
        return 200 * MILLISECOND if self.now_ns < self.slow_until_ns[self.sides.index(side)] else 0

    # ---- the referee -----------------------------------------------------------------------------------------------

    def hand(self, index: int, channel: int, size_bytes: int, key: int) -> None:
        """A body that exists once: side, life, channel, place and key, then bytes that follow from them."""
        place = self._given[index][channel] = self._given[index].get(channel, 0) + 1
        key = key if channel in LATEST else 0
        head = b"%d %d %d %d %d " % (index, self.sides[index].lives, channel, place, key)
        body = (head + sha256(head).digest() * (size_bytes // 32 + 1))[: max(size_bytes, len(head))]
        self._known[index][body] = place
        if channel in LATEST:
            for old in [old for old in self._must[index] if old.split(b" ", 5)[2:5:2] == [b"%d" % channel, b"%d" % key]]:
                del self._must[index][old]
        self._must[index][body] = None
        self.sides[index].hand(channel, key, body)

    def take(self, side: Side, channel: int, message: Any) -> None:
        """Judges one delivery."""
        receiver = self.sides.index(side)
        sender, body = 1 - receiver, bytes(message.body)
        place = self._known[sender].get(body)
        if place is None:
            self.problems.append(f"channel {channel}: delivered what nobody sent, {len(body)} bytes")
            return
        if body in self._arrived[receiver]:
            self.problems.append(f"channel {channel}: message {place} came twice")
        self._arrived[receiver].add(body)
        _, _, said, _, key, _ = body.split(b" ", 5)
        if int(said) != channel:
            self.problems.append(f"a message of channel {int(said)} came on channel {channel}")
        last = self._last[receiver].get((channel, int(key)), 0)
        follows = place > last if channel in LATEST or channel in self._gap_allowed[receiver] else place == last + 1
        if not follows:
            self.problems.append(f"channel {channel}: message {place} came behind {last}")
        self._gap_allowed[receiver].discard(channel)
        self._last[receiver][(channel, int(key))] = place
        self.counts["delivered"] += 1

    def restarted(self, side: Side) -> None:
        """A side heard that the other is a new process: what it had sent and not seen acknowledged is forgotten."""
        index = self.sides.index(side)
        waiting = {body for bodies in side.application.unsent.values() for _, body in bodies}
        self._must[index] = {body: None for body in self._must[index] if body in waiting}
        self._gap_allowed[1 - index] = {row.number for row in CHANNELS}

    def _forget(self, index: int) -> None:
        """A process that died has lost what it held, and what it had been given is no other process's business."""
        self._must[index] = {}
        self.sides[index].application.unsent = {}
        self._gap_allowed[1 - index] = {row.number for row in CHANNELS}
        self._gap_allowed[index] = {row.number for row in CHANNELS}

    def missing(self) -> int:
        """Bodies that have to arrive and have not."""
        return sum(len(self._must[sender].keys() - self._arrived[1 - sender]) for sender in (0, 1))

    # ---- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Everything that was planned, then a whole network until all has arrived."""
        plan = self.plan
        for sending in plan.sendings:
            self.clock.at(
                BEGIN_NS + sending.at_ns, self.hand, sending.side, sending.channel, sending.size_bytes, sending.key
            )
        for fault in plan.breaks:
            self.clock.at(BEGIN_NS + fault.at_ns, self.fault, fault)
        for side in self.sides:
            side.work()
        while self.clock.turn(BEGIN_NS + plan.healed_ns) and not self.problems:
            pass
        self._heal()
        end_ns = BEGIN_NS + plan.healed_ns + plan.end_ns
        while not self.problems and not self._settled() and self.clock.turn(end_ns):
            pass
        self._judge()

    def _heal(self) -> None:
        self.mend()
        for way in self.ways:
            way.faults = Faults(latency_ns=MILLISECOND)
        for side in self.sides:
            side.asleep_until_ns = 0
            side.work()

    def _settled(self) -> bool:
        return self.missing() == 0 and all(side.peer.state == "up" and side.peer.resting for side in self.sides)

    def _judge(self) -> None:
        if not self.problems and self.missing():
            self.problems.append(f"{self.missing()} messages never came")
        if not self.problems and not self._settled():
            states = [(side.peer.state, side.peer.resting) for side in self.sides]
            self.problems.append(f"the sides never came to rest: {states}")
        self.problems += self.nonces.problems
