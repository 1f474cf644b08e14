"""What this region takes over from one peer: its market data into core, its executions into a file, how true its quotes are.

    peer ── events ──► StreamReader ─┬─ market data, snapshots ─► Mirror ─► link_core ─► core: books, stale while unheard
                                     ├─ executions ─► executions-NAME.jsonl
                                     └─ quotes ─► Confirmation ─► region link, `time_confirmed_ns`
    core ── a book that does not fit ─► Healing ─► StreamReader: another scan

Hard rule: books are told to be heard only where nothing can be missing: the session went on, or the source has said where
the stream goes on.
"""

from pathlib import Path
from typing import Any

from gateway.instance import Instance
from gateway.link.execution_log import RemoteExecutions
from gateway.link.healing import Healing
from gateway.link.mirror import Mirror
from gateway.link.peers.event import Down, Event, Restarted, Up
from gateway.link.peers.peer import Peer
from gateway.link.quotes import Confirmation
from gateway.link.streams.join import Phase
from gateway.link.streams.stream_asking import Tokens
from gateway.link.streams.stream_reader import Item, Notice, StreamReader
from gateway.link.streams.stream_request import EXECUTIONS, MARKET_DATA, QUOTES, SNAPSHOTS


class Incoming:
    """The streams of one peer that are mirrored here."""

    def __init__(self, instance: Instance, name: str, peer: Peer, tokens: Tokens, streams: tuple[str, ...], folder: Path):
        """Raises GatewayError when the file of executions cannot be had."""
        self.peer, self.name = peer, name
        self.reader = StreamReader(peer, tokens)
        self.mirror = Mirror(instance, self.reader.taken) if MARKET_DATA in streams else None
        self.confirmation = Confirmation()
        self.healing = Healing(lambda: int(instance.counters[0]["core"]["mirror_mismatches"]))
        self._state: Any = instance.regions["link"].view("link_state")[0]
        self.executions: RemoteExecutions | None = None
        self._needs_mark, self._marks = True, 0
        if MARKET_DATA in streams:
            self.reader.want(MARKET_DATA, join=SNAPSHOTS in streams)
            self.reader.want(QUOTES)  # their MARK says how far our books are the source's
        elif QUOTES in streams:
            self.reader.want(QUOTES)
        if EXECUTIONS in streams:
            self.executions = RemoteExecutions(folder / f"executions-{name}.jsonl")
            self.reader.want(EXECUTIONS, self.executions.cursor(peer.settings.remote_node))

    def on_event(self, event: Event, now_ns: int) -> None:
        """What the peer tells."""
        if isinstance(event, Down):
            self._marks = self._marks_seen()
        elif isinstance(event, Restarted) or (isinstance(event, Up) and not event.resumed):
            self._needs_mark = True
        if isinstance(event, Restarted):
            self.confirmation.restart()
        for item in self.reader.on_event(event, now_ns):
            self._take(item, now_ns)

    def turn(self, now_ns: int) -> int:
        """Time goes on: requests, what waits for core's ring, what is known of the books."""
        self.reader.tick(now_ns)
        if self.mirror is None:
            return 0
        if self._needs_mark and self._marks_seen() > self._marks:
            self._needs_mark = False
        self.mirror.hear(self.peer.state == "up" and not self.peer.suspected and not self._needs_mark)
        worked = self.mirror.turn()
        self._heal(now_ns)
        self._confirm()
        if worked:
            self._state["position_received"] = self.mirror.position
            self._state["records_received"] += worked
        return worked

    def _heal(self, now_ns: int) -> None:
        """Books that do not hold what their source says are stale in core already; another scan brings them back."""
        if found := self.healing.found(now_ns):
            text = f"{found} books do not hold what their source says; they are stale until the next scan"
            self.reader.notices.append(Notice(MARKET_DATA, "mismatch", text))
        if self.healing.is_due(now_ns) and (items := self.reader.begin_anew(now_ns)):
            self.healing.asked(now_ns)
            for item in items:
                self._take(item, now_ns)

    def _confirm(self) -> None:
        """Until when the books here are known to be the source's: only while its stream is whole."""
        assert self.mirror is not None
        market = self.reader.market
        if market is None or market.join.phase is not Phase.LIVE:
            self.confirmation.forget()
            self._state["time_confirmed_ns"] = 0
        else:
            self._state["time_confirmed_ns"] = self.confirmation.follow(self.mirror.applied)

    def close(self) -> None:
        """Core is told that nobody is heard any more; the file is closed."""
        if self.mirror is not None:
            self.mirror.hear(False)
            self.mirror.turn()
        if self.executions is not None:
            self.executions.close()

    def _marks_seen(self) -> int:
        """How often the source has said where its stream begins or goes on."""
        market = self.reader.market
        return 0 if market is None else market.counters["begins"] + market.counters["resumes"]

    def _take(self, item: Item, now_ns: int) -> None:
        if item.stream == EXECUTIONS and self.executions is not None and self.reader.executions is not None:
            source = self.reader.executions.source
            self.executions.append(item.rows, source[1] if source else b"")
        elif item.stream == QUOTES:
            self.confirmation.on_quotes(item.rows, now_ns, int(self._state["round_trip_ns"]))
        elif self.mirror is not None:
            self.mirror.offer(item)
            return
        self.reader.taken(item)
