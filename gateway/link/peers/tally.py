"""Counters of a peer: of its connections, gone ones included, its channels, its refusals. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: a refusal is counted once, under its own word.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.link.frames.wire import Refusal

if TYPE_CHECKING:
    from gateway.link.peers.exchange import Exchange
    from gateway.link.peers.heartbeat import Heartbeats
    from gateway.link.peers.lane import Lane
    from gateway.link.peers.news import News

OF_LANES = ("frames_in", "frames_out", "bytes_in", "bytes_out", "rekeys", "rekeys_without")


class Tally:
    """What has happened; `ended` counts sessions by the reason of their end."""

    def __init__(self) -> None:
        self.refusals = [0] * len(Refusal)
        self.ended: dict[str, int] = {}
        self.sessions = self.stray_bytes = 0
        self._lanes = dict.fromkeys(OF_LANES, 0)
        self._of_streams = [0] * len(Refusal)

    def fold(self, lane: "Lane") -> None:
        """A connection is gone; its counts stay."""
        self._add(lane, self._lanes, self._of_streams)

    @staticmethod
    def _add(lane: "Lane", lanes: dict[str, int], refusals: list[int]) -> None:
        for name in OF_LANES:
            lanes[name] += getattr(lane, name)
        if lane.stream is not None:
            for reason, count in enumerate(lane.stream.counters):
                refusals[reason] += count

    def counted(
        self, lanes: "Iterable[Lane | None]", exchange: "Exchange", heartbeats: "Heartbeats", news: "News"
    ) -> dict[str, int]:
        """All of it by name."""
        counts, refusals = dict(self._lanes), [*self._of_streams]
        for lane in lanes:
            if lane is not None:
                self._add(lane, counts, refusals)
        for reason, count in enumerate(self.refusals):
            refusals[reason] += count
        counts |= {reason.word: refusals[reason] for reason in Refusal}
        counts["crc_failures"] = refusals[Refusal.OUTER_CRC]
        counts |= {f"ended_{reason}": count for reason, count in self.ended.items()}
        counts |= {"sessions": self.sessions, "stray_bytes": self.stray_bytes}
        counts |= {"notices_dropped": news.dropped, "alarms_suppressed": news.suppressed}
        counts |= {"heartbeats_in": heartbeats.heard, "heartbeats_out": heartbeats.sent}
        counts["datagrams_unknown"] = heartbeats.unknown
        counts |= {f"datagram_{reason.word}": count for reason in Refusal if (count := heartbeats.refusals[reason])}
        return counts | exchange.counted()
