"""The two ends of a latency run as whoever measures sees them: on this machine, or one of them on another.

    here        two processes, joined by a wire of port_wires.py, or by two ports that are cabled
    elsewhere   the venue's side in this process; the other end is another machine's, and says nothing but its orders

Hard rule: what is made here is removed: processes, shared memory, sockets; interfaces die with their namespaces.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from gateway.errors import CapabilityError
from gateway.ops.bench.latency_side import AnsweringSide, VenueSide
from gateway.ops.bench.port_sides import Peer, bench
from gateway.ops.bench.port_wires import Wire

MODULE = "gateway.ops.bench.latency_side"
CABLE = "cable"


class Ends(Protocol):
    """Both ends, joined. `answered` is what the answering side says of a run: nothing where it is elsewhere."""

    wires: list[Wire]
    skipped: dict[str, str]
    ticks_per_second: int

    def prepare(self) -> None:
        """Makes the appliance."""

    def venue(self, do: str, **words: Any) -> dict[str, Any]:
        """One step of the venue's side."""

    def answered(self, number: int) -> dict[str, Any]:
        """What the other side says of run `number`."""


class Here:
    """Two processes of this machine."""

    def __init__(self, near: Peer, far: Peer, wires: list[Wire], skipped: dict[str, str]) -> None:
        self.near, self.far, self.wires, self.skipped = near, far, wires, skipped
        self.ticks_per_second = int(near.facts["ticks_per_second"])

    def prepare(self) -> None:
        """Makes the appliance, which from then on answers."""
        self.near.step("prepare", wire=self.wires[0].name)
        self.near.tell("answer")

    def venue(self, do: str, **words: Any) -> dict[str, Any]:
        """One step of the venue's side."""
        return self.far.step(do, **words)

    def answered(self, number: int) -> dict[str, Any]:
        """The line of that run; those of hails that came twice are passed over."""
        while (told := self.near.hear())["number"] != number:
            pass
        return told


class Elsewhere:
    """The venue's side in this process."""

    def __init__(self, side: VenueSide) -> None:
        self.side, self.skipped = side, dict[str, str]()
        self.wires = [Wire(name, name) for name in side.ports]
        self.ticks_per_second = side.ticks_per_second

    def prepare(self) -> None:
        """The other machine has done that."""

    def venue(self, do: str, **words: Any) -> dict[str, Any]:
        """One step."""
        return dict(getattr(self.side, do)(**words))

    def answered(self, number: int) -> dict[str, Any]:
        """Nothing but the orders."""
        return {}


def two_cpus(asked: tuple[int, int] | None) -> tuple[int, int]:
    """The CPUs of the appliance and of the venue. Raises CapabilityError on a machine with one."""
    usable = sorted(os.sched_getaffinity(0))
    if asked is None and len(usable) < 2:
        raise CapabilityError("latency needs two CPUs, one for the venue's side; this process may use one")
    chosen = asked or (usable[-1], usable[-2])
    if not set(chosen) <= set(usable) or chosen[0] == chosen[1]:
        raise CapabilityError(f"CPUs {chosen[0]} and {chosen[1]}: name two different ones of {usable}")
    return chosen


@contextmanager
def here(wires: Sequence[Wire], asked: tuple[int, int] | None = None) -> Iterator[Here]:
    """Both sides over the wires that this host can have."""
    with bench(two_cpus(asked), module=MODULE, wires=wires, staged=()) as both:
        yield Here(both.near, both.far, both.wires, both.skipped)


@contextmanager
def cabled(port: str, venue_port: str, asked: tuple[int, int] | None = None) -> Iterator[Here]:
    """Both sides over two ports of this machine that lead to each other."""
    cpus = two_cpus(asked)
    with tempfile.TemporaryDirectory(prefix=f"bench-{os.getpid()}-latency-") as folder:
        peers: list[Peer] = []
        try:
            for side, name in ((0, port), (1, venue_port)):
                peers.append(Peer(side, cpus[side], Path(folder), MODULE))
                peers[side].step("open_named", wire=CABLE, port=name)
            yield Here(peers[0], peers[1], [Wire(CABLE, port)], {})
        finally:
            for peer in peers:
                peer.close()


@contextmanager
def venue_side(port: str, cpu: int) -> Iterator[Elsewhere]:
    """The venue's side alone."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{os.getpid()}-venue-") as folder:
        side = VenueSide(1, cpu, Path(folder))
        try:
            side.open_named(port, port)
            yield Elsewhere(side)
            side.finish(port)
        finally:
            side.close()


@contextmanager
def answering_side(port: str, cpu: int, appliance: bool) -> Iterator[AnsweringSide]:
    """The answering side alone."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{os.getpid()}-answer-") as folder:
        side = AnsweringSide(0, cpu, Path(folder))
        try:
            side.open_named(port, port)
            if appliance:
                side.prepare(port)
            yield side
        finally:
            side.close()
