"""What the process link shows: the region that core and `gateway top` read, and a file with everything by peer.

    peers, sockets, streams, keys ─┬─► region link             every SHOW_NS, of one peer: the mirrored one, or the first
                                   └─► STATE/link/status.json  every FILE_NS

Hard rule: it reads what others count and counts nothing itself; a file that cannot be written stops nobody.
"""

import contextlib
import json
import os
from typing import Any

from gateway import layout
from gateway.link.composition import Composition
from gateway.link.frames.wire import Refusal

SHOW_NS = 20_000_000
FILE_NS = 500_000_000
SHOWN = {  # field of the region ← counter of the peer
    "frames_sent": "frames_out",
    "frames_received": "frames_in",
    "retransmissions": "retransmitted",
    "crc_failures": "crc_failures",
    "rekeys": "rekeys",
    "conflated": "conflated",
}
PHASES = {"up": "LINK_CONNECTED", "opening": "LINK_CONNECTING", "idle": "LINK_WAITING"}


class Status:
    """The status of one process."""

    def __init__(self, parts: Composition):
        self._parts = parts
        self._state: Any = parts.instance.regions["link"].view("link_state")[0]
        self._shown_ns = self._filed_ns = 0
        self.sessions = self.losses = self.alarms = 0
        self.last_alarm = ""
        self._state["node"] = parts.settings.node

    def show(self, now_ns: int) -> None:
        """Writes what is due."""
        if now_ns - self._shown_ns < SHOW_NS:
            return
        self._shown_ns = now_ns
        self._fill(now_ns)
        if now_ns - self._filed_ns >= FILE_NS:
            self._filed_ns = now_ns
            self.write(now_ns)

    def enter(self, phase: str, now_ns: int) -> None:
        """The phase, and since when."""
        number = layout.value(phase)
        if int(self._state["phase"]) != number:
            self._state["time_phase_ns"] = now_ns
            self._state["phase"] = number

    def keys_until(self, time_ns: int) -> None:
        """Until when the keys that are held allow new risk: control denies it from then on, also when we are dead."""
        self._state["keys_until_ns"] = time_ns

    def _fill(self, now_ns: int) -> None:
        parts, state = self._parts, self._state
        node = next(iter(parts.incoming), next(iter(parts.peers), 0))
        peer = parts.peers.get(node)
        if peer is None:
            self.enter("LINK_WAITING", now_ns)
            return
        suspected = peer.state == "up" and peer.suspected
        self.enter("LINK_SUSPECT" if suspected else PHASES.get(peer.state, "LINK_WAITING"), now_ns)
        state["peer_node"], state["sessions"], state["losses"], state["alarms"] = (
            node,
            self.sessions,
            self.losses,
            self.alarms,
        )
        counters = peer.counters
        for name, counter in SHOWN.items():
            state[name] = counters[counter]
        state["bytes_received"], state["bytes_sent"] = parts.transport.transferred()
        state["round_trip_ns"] = parts.transport.round_trip_ns(node)
        state["subscribers"] = sum(len(one.grants) for one in parts.server.subscribers.values())
        state["denials"] = parts.server.counters["denied"]
        for refusal in Refusal:
            state["refusals"][int(refusal)] = counters.get(refusal.word, 0) + parts.acceptor.counters.get(refusal.word, 0)

    def write(self, now_ns: int) -> None:
        """The file, whole or as it was."""
        path = self._parts.folder / "status.json"
        fresh = path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(self.document(now_ns)))
            fresh.rename(path)

    def document(self, now_ns: int) -> dict[str, Any]:
        """Everything, by peer."""
        parts = self._parts
        inside, outside = parts.transport.transferred()
        return {
            "time_ns": now_ns,
            "process": os.getpid(),
            "node": parts.settings.node,
            "sessions": self.sessions,
            "losses": self.losses,
            "alarms": self.alarms,
            "last_alarm": self.last_alarm,
            "bytes_in": inside,
            "bytes_out": outside,
            "transport": dict(parts.transport.counters),
            "acceptor": dict(parts.acceptor.counters),
            "keys": self._keys(now_ns),
            "access": {str(name): count for name, count in parts.access.counters.items()},
            "server": dict(parts.server.counters),
            "subscribers": {parts.names[node]: sorted(one.grants) for node, one in parts.server.subscribers.items()},
            "records_sent": int(self._state["records_sent"]),
            "executions_sent": int(self._state["executions"]),
            "confirmed_age_ms": _age_ms(now_ns, int(self._state["time_confirmed_ns"])),
            "peers": {parts.names[node]: self._peer(node) for node in parts.peers},
        }

    def _keys(self, now_ns: int) -> dict[str, Any]:
        keyring = self._parts.keyring
        words = {"problem": keyring.problem, "risk_allowed": keyring.risk_allowed(now_ns)}
        return words | {"risk_until_ns": keyring.risk_until_ns(now_ns)}

    def _peer(self, node: int) -> dict[str, Any]:
        parts, peer = self._parts, self._parts.peers[node]
        said: dict[str, Any] = {"node": node, "state": peer.state, "suspected": peer.suspected}
        said["round_trip_us"] = parts.transport.round_trip_ns(node) / 1000
        said["counters"] = dict(peer.counters)
        incoming = parts.incoming.get(node)
        if incoming is not None:
            said["streams"] = {name: row.state.value for name, row in incoming.reader.asking.streams.items()}
        if incoming is not None and incoming.mirror is not None and incoming.reader.market is not None:
            said["mirrored"] = {"records": incoming.mirror.written, "waiting": incoming.mirror.waiting}
            said["mirrored"] |= {"losses": incoming.mirror.lost, "phase": incoming.reader.market.join.phase.value}
            said["mirrored"] |= {"mismatches": incoming.healing.mismatches, "scans_for_them": incoming.healing.scans}
        if incoming is not None and incoming.executions is not None:
            said["executions"] = {"received": incoming.executions.count, "repeated": incoming.executions.repeated}
        return said


def _age_ms(now_ns: int, time_ns: int) -> float | None:
    return round((now_ns - time_ns) / 1e6, 3) if time_ns else None
