"""The two processes of the ports benchmark, seen from the suite: started, joined by wires, told what to run.

Hard rule: what is made here is removed: processes, shared memory, sockets of memif; interfaces die with their namespaces.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError, GatewayError
from gateway.ops.bench.port_wires import AF_PACKET, MEMIF, PAIR, TAP, WIRES, Wire
from gateway.port import port_kinds

END_SECONDS = 10
PORT_SIDE = "gateway.ops.bench.port_side"
STAGED = (PAIR, MEMIF, AF_PACKET)  # wires whose io stage is measured too


class Peer:
    """One side: a process that answers one JSON line with one JSON line."""

    def __init__(self, side: int, cpu: int, folder: Path, module: str = PORT_SIDE) -> None:
        command = [sys.executable, "-m", module, str(side), str(cpu), str(folder)]
        # a session of its own: Ctrl-C in a terminal reaches the suite alone, which then ends the sides in order
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            self.facts = self.hear()
        except BaseException:  # Ctrl-C among them
            self.close()
            raise

    def hear(self) -> dict[str, Any]:
        """The next line. Raises CapabilityError with what the side says it lacks."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise GatewayError("one side of the ports benchmark ended early; run it again with GATEWAY_TRACEBACK=1")
        told = dict(json.loads(line))
        if "error" in told:
            raise CapabilityError(told["error"])
        return told

    def tell(self, do: str, **words: Any) -> None:
        """One step, without waiting for its end."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do} | words) + "\n")
        self.process.stdin.flush()

    def begin(self, do: str, **words: Any) -> None:
        """Starts a run; returns when the side is about to be in it."""
        self.tell(do, **words)
        self.hear()

    def run(self, do: str, **words: Any) -> dict[str, Any]:
        """A whole run."""
        self.begin(do, **words)
        return self.hear()

    def step(self, do: str, **words: Any) -> dict[str, Any]:
        """A step that is no run."""
        self.tell(do, **words)
        return self.hear()

    def close(self) -> None:
        """Ends the process; one that does not end is killed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Bench:
    """Both sides with every wire that this host can have; `skipped` names the others with the reason."""

    def __init__(
        self,
        folder: Path,
        cpus: tuple[int, int],
        module: str = PORT_SIDE,
        wires: Sequence[Wire] = WIRES,
        staged: Sequence[str] = STAGED,
    ) -> None:
        self.cpus, self.real_time, self.to_stage = cpus, True, staged
        self.skipped: dict[str, str] = {}
        self.wires: list[Wire] = []
        self.staged: list[str] = []
        self._peers: list[Peer] = []
        try:
            for side in (0, 1):
                self._peers.append(Peer(side, cpus[side], folder, module))
            self.near, self.far = self._peers
            self._open_all(wires)
        except BaseException:  # Ctrl-C among them: whoever waits for us finds nothing left
            self.close()
            raise

    def _open_all(self, wires: Sequence[Wire]) -> None:
        self.no_links = self._lay_links()
        for wire in wires:
            if not wire.ours:
                self._open(wire, self._open_sockets)
        if not self.no_links:
            self.far.step("enter", pid=self.near.process.pid)
        for wire in wires:
            if wire.ours:
                self._open(wire, self._open_ports)
        self.wires.sort(key=WIRES.index)

    def _lay_links(self) -> str:
        """Namespaces with links between them; why there are none, else nothing."""
        if os.geteuid() != 0:
            return "needs root: it makes interfaces in a namespace of its own"
        try:
            self.near.step("leave")
            self.near.step("lay", pid=self.far.step("leave")["pid"])
            self.far.step("raise_link")
        except CapabilityError as problem:
            return str(problem)
        return ""

    def _open(self, wire: Wire, opened: Callable[[Wire], None]) -> None:
        reason = self.no_links if wire.root else ""
        if wire.port.startswith("dpdk:") and "dpdk" not in port_kinds():
            reason = "this build has no DPDK: install libdpdk-dev, then run scripts/setup"
        try:
            if not reason:
                opened(wire)
        except CapabilityError as problem:
            reason = str(problem)
        if reason:
            self.skipped[wire.name] = reason
        else:
            self.wires.append(wire)

    def _open_sockets(self, wire: Wire) -> None:
        apart = not self.no_links
        near = self.near.step("open_socket", wire=wire.name, apart=apart)["number"]
        far = self.far.step("open_socket", wire=wire.name, apart=apart)["number"]
        self.near.step("connect", wire=wire.name, number=far, apart=apart)
        self.far.step("connect", wire=wire.name, number=near, apart=apart)

    def _open_ports(self, wire: Wire) -> None:
        for peer in (self.near, self.far):
            peer.step("open", wire=wire.name)
        if wire.name == TAP:
            self.near.step("bridge")
        if wire.name in self.to_stage:
            for peer in (self.near, self.far):
                peer.step("open_stage", wire=wire.name)
            self.staged.append(wire.name)

    def together(self, near: dict[str, Any], far: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A run of both sides; the far one is there first."""
        self.far.begin(**far)
        told = self.near.run(**near)
        other = self.far.hear()
        self.real_time &= bool(told["real_time"] and other["real_time"])
        return told, other

    def close(self) -> None:
        """Ends both sides."""
        for peer in self._peers:
            peer.close()


@contextmanager
def bench(cpus: tuple[int, int] | None = None, **options: Any) -> Iterator[Bench]:
    """Both sides, and everything gone afterwards. Raises CapabilityError on a machine with one CPU."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CapabilityError("an echo needs two CPUs; this process may use one")
    with tempfile.TemporaryDirectory(prefix=f"bench-{os.getpid()}-ports-") as folder:
        both = Bench(Path(folder), cpus or (usable[-1], usable[-2]), **options)
        try:
            yield both
        finally:
            both.close()
