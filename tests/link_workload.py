"""Messages whose bytes follow from channel and number, and the account of what arrived of them."""

import random
import struct
from collections import defaultdict

PING, PONG = b"ping....", b"pong...."
NOISE = random.Random(7).randbytes(1 << 20)
SAMPLES = 1 << 20


def body_of(channel, number, size):
    """The bytes of message `number` of a channel: its number, then what nobody could guess."""
    at = (number * 7919 + channel * 104_729) % (len(NOISE) - size)
    return struct.pack("<IQ", channel, number) + NOISE[at : at + size - 12]


class Account:
    """What arrived, message by message."""

    def __init__(self):
        self.promised = defaultdict(int)  # by channel, of our own
        self.seen = defaultdict(int)  # highest number by channel
        self.bytes = defaultdict(int)
        self.first_ns, self.last_ns = {}, {}
        self.lost = self.duplicated = self.damaged = self.answered = 0
        self.round_trips_ns, self.ways_ns = [], defaultdict(list)

    def delivered(self, channel, message, now_ns):
        """One message: it must be the next, and byte for byte what was sent."""
        body = bytes(message.body)
        said, number = struct.unpack_from("<IQ", body)
        if said != channel or body != body_of(channel, number, len(body)):
            self.damaged += 1
            return
        if number <= self.seen[channel]:
            self.duplicated += 1
            return
        self.lost += number - self.seen[channel] - 1
        self.seen[channel] = number
        self.bytes[channel] += len(body)
        self.first_ns.setdefault(channel, now_ns)
        self.last_ns[channel] = now_ns
        if len(self.ways_ns[channel]) < SAMPLES:
            self.ways_ns[channel].append(now_ns - message.sent_ns)

    def pong(self, body, now_ns):
        """An answer to a ping of ours."""
        self.answered += 1
        self.round_trips_ns.append(now_ns - struct.unpack_from("<q", body, 8)[0])

    def clear(self):
        """Forgets times, not numbers."""
        self.round_trips_ns.clear()
        self.ways_ns.clear()
        self.first_ns.clear()
        self.last_ns.clear()
        self.bytes.clear()

    def report(self):
        """For a test."""
        return {
            "seen": {str(channel): number for channel, number in self.seen.items()},
            "bytes": {str(channel): size for channel, size in self.bytes.items()},
            "lost": self.lost,
            "duplicated": self.duplicated,
            "damaged": self.damaged,
            "answered": self.answered,
            "round_trips": quantiles(self.round_trips_ns),
            "ways": {str(channel): quantiles(times) for channel, times in self.ways_ns.items()},
            "took": {str(channel): self.last_ns[channel] - first for channel, first in self.first_ns.items()},
        }


def quantiles(times):
    """p50, p99, p99.9 and the longest in microseconds, and how many."""
    ordered = sorted(times)
    if not ordered:
        return {"count": 0}
    names = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    found = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000 for name, share in names.items()}
    return {**found, "max": ordered[-1] / 1000, "count": len(ordered)}
