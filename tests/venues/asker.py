"""Who asks the re-request server for messages again, on a bench: builds request frames and reads the replies."""

from ipaddress import IPv4Address
from typing import Any

from gateway.protocols import moldudp64, udp
from gateway.protocols.headers import carried_by
from gateway.venues.simulator.flow import Bench
from gateway.venues.simulator.settings import Settings
from tests.venues.desk import ADDRESSES, MAC_A, packets

MAC = "02:00:0a:4d:00:77"
ADDRESS, PORT = "10.77.0.9", 41777


def request_frame(payload: bytes, **headers: Any) -> bytes:
    """A datagram to the re-request server."""
    ways = {"source": ADDRESS, "source_port": PORT, "source_mac": MAC, "destination": ADDRESSES.requests.address}
    ways |= {"destination_port": ADDRESSES.requests.port, "destination_mac": ADDRESSES.requests.hardware}
    return udp.frame(payload, **{**ways, **headers})


class Asker:
    """A venue of `settings` and everything it said on line A; `ask` returns the reply packets."""

    def __init__(self, settings: Settings):
        self.bench = Bench(settings)
        self.counters = self.bench.venue.counters
        self.session = bytes(self.bench.venue.state[0]["feed"]["session"]).decode()
        self.frames: list[bytes] = []
        self.heard: dict[int, bytes] = {}

    def step(self, passed_ns: int = 50_000, steps: int = 1) -> list[bytes]:
        """Steps and returns the frames of these steps."""
        self.bench.advance(passed_ns, steps)
        frames = self.bench.collect()
        self.frames += frames
        for packet in packets(frames, MAC_A):
            self.heard |= {packet.sequence + index: message for index, message in enumerate(packet.messages)}
        return frames

    def trade(self, messages: int) -> None:
        """Steps until the feed has said so many messages."""
        while self.counters["feed_messages"] < messages:
            self.step()

    def send(self, payload: bytes, **headers: Any) -> None:
        assert self.bench.send(request_frame(payload, **headers)), "the venue's io_core is full"

    def replies(self, frames: list[bytes], mac: str = MAC) -> list[moldudp64.Packet]:
        return packets(frames, bytes.fromhex(mac.replace(":", "")))

    def ask(self, sequence: int, count: int, session: str | None = None) -> list[moldudp64.Packet]:
        """One request, one step of a microsecond."""
        self.send(moldudp64.encode_request(self.session if session is None else session, sequence, count))
        return self.replies(self.step(1_000))


def way_of(frame: bytes) -> tuple[str, int, str, int]:
    """(source, port, destination, port) of a frame whose checksums the plain reader believes."""
    source, source_port, destination, destination_port = carried_by(frame).flow
    return str(IPv4Address(source)), source_port, str(IPv4Address(destination)), destination_port
