"""The process `link`: one loop over sockets, core's ring, streams, keys; it lives beside core and may die without it.

    sockets ─► events ─┬─► stream server ◄── core_link, executions, quotes
       ▲               ├─► incoming ──► link_core, executions-NAME.jsonl
       └── output ◄────┴─► log: sessions, alarms, refusals

    SIGTERM, SIGINT: says GOAWAY and leaves      SIGUSR1: sets the kill latch      as in native/loop.c

Hard rule: nothing in the loop waits for a disk, a key service or a peer; where there is nothing to do it rests in epoll.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any

from gateway import layout
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.link import descriptors
from gateway.link.composition import Composition
from gateway.link.frames.wire import BULK
from gateway.link.peers.event import Alarm, Delivered, Down, Event, Fenced, Joined, Restarted, Suspect, Trusted, Up
from gateway.link.status import Status
from gateway.link.warming import warm
from gateway.native import ffi, lib
from gateway.ops.log import Log
from gateway.ops.notification import Notification

PATIENCE_NS = 300_000  # without work before it rests
REST_SECONDS = {"spin": 0.0, "yield": 0.0005, "sleep": 0.002}  # core's ring does not wake us
LOOK_NS = 250_000_000  # at signed files, grants and keys
LEAVE_NS = 300_000_000
OURS = (0, 5)  # channels whose messages nobody holds on to: control, answers
SAID = {"Up": "session_up", "Down": "session_down", "Suspect": "suspect", "Trusted": "trusted", "Restarted": "restarted"}


class LinkStage:
    """The parts of the link and the loop around them."""

    def __init__(self, instance: Instance, configuration: Configuration, notification: Notification, log: Log):
        self.instance, self.log, self._notification = instance, log, notification
        descriptors.provide()
        self.parts = Composition(instance, configuration)
        self.status = Status(self.parts)
        self._rest_seconds = REST_SECONDS[configuration.link.idle]
        self._beat: Any = instance.control[0]["heartbeats"][layout.value("PROCESS_LINK")]
        self._looked_ns = 0
        self._key_changes = 0
        self._problem = ""
        self._risk = True
        self._stopping = False
        warm()  # before anybody counts on our signs of life

    def run(self) -> None:
        """Turns until control or a signal says stop."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_stop)
            signal.signal(signal.SIGUSR1, self._on_kill)
        self._beat["pid"], self._beat["turns"], self._beat["turns_busy"] = os.getpid(), 0, 0
        self.parts.refresher.start()
        self._live(self.parts.now_ns(), 0)
        self._beat["state"] = layout.value("PROCESS_RUNNING")
        busy_ns = self.parts.now_ns()
        while not self._stopping and not self.instance.control[0]["stop"]:
            now_ns = self.parts.now_ns()
            patient = now_ns - busy_ns < PATIENCE_NS or not self._rest_seconds
            worked = self.turn(now_ns, 0.0 if patient else self._rest_seconds)
            self._live(now_ns, worked)
            busy_ns = now_ns if worked else busy_ns
        self._leave()
        self._beat["state"] = layout.value("PROCESS_STOPPED")

    # ---- one turn --------------------------------------------------------------------------------------------------

    def turn(self, now_ns: int, rest_seconds: float) -> int:
        """Sockets, then what they brought, then what is to leave. Returns how much there was to do."""
        transport = self.parts.transport
        worked = transport.wait(rest_seconds, now_ns) if rest_seconds else transport.turn()
        now_ns = self.parts.now_ns()
        for node, peer in self.parts.peers.items():
            for event in peer.events():
                self._on_event(node, event, now_ns)
                worked += 1
        worked += self.parts.outgoing.turn(now_ns)
        for incoming in self.parts.incoming.values():
            worked += incoming.turn(now_ns)
        self.parts.server.tick(now_ns)
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self._look(now_ns)
        self.status.show(now_ns)
        return worked

    def _on_event(self, node: int, event: Event, now_ns: int) -> None:
        parts = self.parts
        if isinstance(event, Up):
            self._on_up(node, now_ns)
        elif isinstance(event, Joined) and event.connection == BULK:
            self._on_bulk(node, now_ns)
        if node in parts.server.subscribers:
            parts.server.on_event(node, event, now_ns)
        if node in parts.incoming:
            parts.incoming[node].on_event(event, now_ns)
        if isinstance(event, Delivered):
            if event.channel in OURS or node not in parts.incoming:
                parts.peers[node].consumed(event.channel, len(event.message.body))
        elif isinstance(event, Alarm):
            self._alarm(node, event.reason, event.detail)
        elif isinstance(event, Fenced):
            self._alarm(
                node, "FENCED", f"it has seen fence {event.fence}, above ours; what we say waits until ours is raised"
            )
        elif isinstance(event, Up | Down | Suspect | Trusted | Restarted):
            self._tell(node, event)

    def _on_up(self, node: int, now_ns: int) -> None:
        """A session stands: its peer may ask for streams, if its address may."""
        self.status.sessions += 1
        address = self.parts.transport.address_of(node)
        if self._may_stand(node, address, now_ns):
            self.parts.server.attach(self.parts.peers[node], node, address)

    def _on_bulk(self, node: int, now_ns: int) -> None:
        """The second connection shook hands by itself: where it comes from counts as much, if it is another place."""
        address = self.parts.transport.address_of(node, BULK)
        if address and address != self.parts.transport.address_of(node):
            self._may_stand(node, address, now_ns)

    def _may_stand(self, node: int, address: str, now_ns: int) -> bool:
        """Whether this peer may come from there; else its session ends. A connection that is gone has no address."""
        peer = self.parts.peers[node]
        refused = self.parts.access.admit_peer(node, address, now_ns) if address else "closed"
        if refused is None:
            return True
        if address:
            self._alarm(node, str(refused), f"its address is {address}")
        peer.close(str(refused), now_ns)
        return False

    def _tell(self, node: int, event: Event) -> None:
        """What people should know of, and the lines of the log."""
        name = self.parts.names[node]
        word = SAID[type(event).__name__]
        if isinstance(event, Down):
            self.status.losses += 1
            self.log.warning(word, f"{name}: the session is down ({event.reason})", peer=name, reason=event.reason)
        elif isinstance(event, Up):
            how = "resumed" if event.resumed else "begun"
            self.log.info(word, f"{name}: a session is up ({how})", peer=name, resumed=event.resumed)
        elif isinstance(event, Suspect):
            self.log.warning(word, f"{name}: no sign of life for {event.silence_ns / 1e6:.0f} ms", peer=name)
        else:
            self.log.info(word, "", peer=name)

    def _alarm(self, node: int, reason: str, detail: str) -> None:
        name = self.parts.names.get(node, str(node))
        self.status.alarms += 1
        self.status.last_alarm = f"{name}: {reason} ({detail})"
        self.log.error("link_alarm", f"ALARM {self.status.last_alarm}", peer=name, reason=reason, detail=detail)

    # ---- now and then ----------------------------------------------------------------------------------------------

    def _look(self, now_ns: int) -> None:
        """At signed files that have changed, grants that no longer hold, and keys."""
        parts = self.parts
        for line in [*parts.refused_files, *parts.files.poll(now_ns)]:
            self.log.error("file_refused", line)
        parts.refused_files.clear()
        ended = {grant.token_id: str(grant.reason) for grant in parts.access.ended(now_ns)}
        for subscriber in list(parts.server.subscribers.values()) if ended else []:
            for stream, grant in list(subscriber.grants.items()):
                if grant.token_id in ended:
                    parts.server.end(subscriber, stream, ended[grant.token_id], now_ns)
        for name, incoming in ((parts.names[node], one) for node, one in parts.incoming.items()):
            for notice in incoming.reader.notices:
                text = f"{name}: stream {notice.stream} {notice.what}: {notice.reason}"
                self.log.warning("stream", text, peer=name, stream=notice.stream, what=notice.what, reason=notice.reason)
            incoming.reader.notices.clear()
        self._look_at_keys(now_ns)

    def _look_at_keys(self, now_ns: int) -> None:
        """A secret that was revoked ends the sessions that may stand on it; a service that is gone is said."""
        keyring = self.parts.keyring
        if keyring.problem != self._problem:
            self._problem = keyring.problem
            self.log.warning("key_service", self._problem or "the key service answers again")
        if keyring.changes != self._key_changes:
            self._key_changes = keyring.changes
            for peer in self.parts.peers.values():
                peer.close("KEY", now_ns)
        self.status.keys_until(keyring.risk_until_ns(now_ns))
        if keyring.risk_allowed(now_ns) != self._risk:
            self._risk = not self._risk
            if self._risk:
                self.log.info("keys", "keys are there again")
            else:
                self._alarm(
                    self.parts.settings.node,
                    "NO_KEYS",
                    "nothing valid is left; new sessions and new risk (KEYS) are refused",
                )

    def _live(self, now_ns: int, worked: int) -> None:
        self._beat["turns"] += 1
        self._beat["turns_busy"] += worked > 0
        self._beat["time_ns"] = now_ns
        self._notification.feed()

    def _leave(self) -> None:
        """Says GOAWAY, lets it leave, and closes."""
        now_ns = self.parts.now_ns()
        for peer in self.parts.peers.values():
            peer.leave(now_ns)
        until_ns = now_ns + LEAVE_NS
        while now_ns < until_ns and any(peer.state == "up" for peer in self.parts.peers.values()):
            self.parts.transport.wait(0.005, now_ns)
            now_ns = self.parts.now_ns()
        self.status.enter("LINK_STOPPED", now_ns)
        self.status.write(now_ns)
        self.parts.close()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _on_kill(self, number: int, frame: FrameType | None) -> None:
        control = ffi.cast("struct control_block *", self.instance.address("control"))
        lib.control_kill(control, layout.value("KILL_SIGNAL"))
