"""Two gateways and the ways between them in virtual time: one seed, one run, and a referee that sees both ends.

    Side A (dials) ═══ Way 0 ═══► Side B (listens)
                   ◄══ Way 1 ═══

The referee knows every body that an application handed over. Whatever is delivered must be one of them, once, in its
channel's order; whatever may not be lost must have arrived when the run ends; no key seals twice under one nonce.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

from gateway.link.frames import wire
from gateway.link.peers.channel import CHANNELS
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings, RekeySettings
from tests.sim.link_keys import PAIR, private_key, public_key
from tests.sim.link_network import MILLISECOND, SECOND, Clock, Counts, Faults, Flow, Way
from tests.sim.link_nonces import Nonces
from tests.sim.link_plan import Break, Plan, Sending
from tests.sim.link_referee import Referee
from tests.sim.link_side import Side, Socket

ENDS = {"closed", "damage", "header_crc", "length", "replaced", "retries", "silence", "deadline"}  # a network's doing
BEGIN_NS = 1_760_000_000 * SECOND + 500 * MILLISECOND


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
        self.referee = Referee()
        self.problems = self.referee.problems
        self.packets = Counts()
        self.channels = tuple(replace(row, capacity_bytes=plan.capacity_bytes) for row in CHANNELS)
        self.dialling: set[int] = set()
        self.ways = tuple(Way(self.clock, self.random, faults, self.packets) for faults in plan.ways)
        self.flows: list[Flow] = []
        self.slow_until_ns = [0, 0]
        self._mended_ns = 0
        self._recorded: list[bytes] = []  # what A wrote to its first connection
        self._recorded_life = 0
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
                channels=self.channels,
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
            self.sides[0].work()
            return
        ours, theirs = self.join()
        if not self._recorded:
            self._recorded_life = self.sides[1].lives
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
                side.application.unsent = {}
                self.referee.died(fault.side)
                side.work()
            case "replay":
                self._replay()
            case "forge":
                self._forge(fault.side)
            case "echo":
                self._cut_and_echo(fault.side, end_ns)
            case "slow_reader":
                self.slow_until_ns[fault.side] = end_ns

    def mend(self) -> None:
        """No way is cut any more."""
        self._mended_ns = self.now_ns
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

    def _forge(self, index: int) -> None:
        """Somebody without a key sends a heartbeat from the future: all is right but the tag."""
        datagram = self.ways[index].last_datagram
        if datagram:
            header = wire.HEAD.unpack_from(datagram)
            head = wire.HEAD.pack(*header[:-2], header[-2] + 1_000_000, header[-1])
            sealed = datagram[wire.HEADER_BYTES : -wire.CRC_BYTES]
            crcs = wire.CRC.pack(wire.crc32c(head)), wire.CRC.pack(wire.crc32(sealed))
            self.sides[1 - index].bring(None, head + crcs[0] + sealed + crcs[1])

    def _cut_and_echo(self, index: int, end_ns: int) -> None:
        """Nothing gets through any more; somebody plays the last heartbeat again and again, so that nobody notices."""
        for way in self.ways:
            way.faults.cut = True
        heartbeat = self.ways[index].last_datagram
        if heartbeat:
            for time_ns in range(self.now_ns, end_ns, 10 * MILLISECOND):
                self.clock.at(time_ns, self.sides[1 - index].bring, None, heartbeat)
        listener = self.sides[1 - index]
        self.clock.at(end_ns - 1, self._look_whether_noticed, listener, listener.lives, self.now_ns)
        self.clock.at(end_ns, self.mend)

    def _look_whether_noticed(self, side: Side, life: int, since_ns: int) -> None:
        """Half a second of recordings is half a second of silence, if the way was cut all the time."""
        silent = self._mended_ns < since_ns and self.now_ns - since_ns > SECOND // 2
        if silent and side.lives == life and side.asleep_until_ns <= since_ns and not side.peer.suspected:
            self.problems.append(f"{side.name} took recorded heartbeats for the other")

    def _play(self, socket: Socket, data: bytes) -> None:
        self.sides[1].bring(socket, data)
        if socket.number >= 0:
            self.problems.append("a replayed connection was adopted")
        heard = self.sides[1].lives == self._recorded_life and self.sides[1].application.ups
        if socket.out.held_bytes and heard:
            self.problems.append("a first message was answered twice")

    # ---- the applications ------------------------------------------------------------------------------------------

    def _hand(self, sending: Sending) -> None:
        side = self.sides[sending.side]
        side.hand(
            sending.channel, *self.referee.hand(sending.side, side.lives, sending.channel, sending.size_bytes, sending.key)
        )

    def take(self, side: Side, channel: int, message: Any) -> None:
        """A delivery."""
        self.referee.take(self.sides.index(side), channel, message)

    def met_another(self, side: Side) -> None:
        """A side heard that the other is a new process."""
        waiting = {body for bodies in side.application.unsent.values() for _, body in bodies}
        self.referee.met_another(self.sides.index(side), waiting)

    def reading_ns(self, side: Side) -> int:
        """How long its application takes to read a message."""
        return 200 * MILLISECOND if self.now_ns < self.slow_until_ns[self.sides.index(side)] else 0

    # ---- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Everything that was planned, then a whole network until all has arrived."""
        plan = self.plan
        for sending in plan.sendings:
            self.clock.at(BEGIN_NS + sending.at_ns, self._hand, sending)
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
        return self.referee.missing() == 0 and all(side.peer.state == "up" and side.peer.resting for side in self.sides)

    def _judge(self) -> None:
        if not self.problems and self.referee.missing():
            self.problems.append(f"{self.referee.missing()} messages never came")
        if not self.problems:
            self._look_at_ends()
        if not self.problems and not self._settled():
            states = [(side.peer.state, side.peer.resting) for side in self.sides]
            self.problems.append(f"the sides never came to rest: {states}")
        self.problems += self.nonces.problems

    def _look_at_ends(self) -> None:
        """Every session ended for a reason that the network gave, and half a second later both hear each other."""
        for side in self.sides:
            ended = {name.removeprefix("ended_") for name, count in side.peer.counters.items() if name.startswith("ended_")}
            if ended - ENDS:
                self.problems.append(f"{side.name}: a session ended by {sorted(ended - ENDS)}")
        end_ns = self.now_ns + SECOND // 2
        while self.clock.turn(end_ns):
            pass
        self.problems += [f"{side.name} suspects the other" for side in self.sides if side.peer.suspected]

    def look_at_bounds(self, side: Side) -> None:
        """No channel holds more than it may, in either direction."""
        exchange = side.peer._exchange
        for row in self.channels:
            held = exchange.outbound[row.number].held_bytes
            waiting = sum(len(message.body) for message in exchange.inbound[row.number]._held.values())
            if held > row.capacity_bytes or waiting > row.capacity_bytes:
                self.problems.append(f"{side.name}: channel {row.number} holds {held} and {waiting} bytes")
