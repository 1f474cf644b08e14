"""The client's desk in tests: speaks OUCH to a simulated venue on memory rings, hears its reports and its feed."""

from typing import Any

from gateway.protocols import itch50, moldudp64, ouch50, udp
from gateway.venues.simulator.addresses import Addresses
from gateway.venues.simulator.flow import Bench
from gateway.venues.simulator.settings import Settings

ADDRESSES = Addresses()
HEADERS = 42
MAC_A, MAC_B = ADDRESSES.line_a.hardware_bytes, ADDRESSES.line_b.hardware_bytes
MAC_CLIENT = ADDRESSES.client.hardware_bytes
STEPS = 40  # more than a ring of orders needs


def quiet(symbols: int = 4, **settings: Any) -> Settings:
    """A venue that says its start of day and then only does what clients ask."""
    return Settings(symbols=symbols, messages=2 * symbols + 3, rate=0, **settings)


def packets(frames: list[bytes], mac: bytes) -> list[moldudp64.Packet]:
    return [moldudp64.decode(frame[HEADERS:]) for frame in frames if frame[:6] == mac]


def order_frame(payload: bytes) -> bytes:
    """A datagram from the client to the venue's order port."""
    return udp.frame(
        payload,
        source=ADDRESSES.client.address,
        destination=ADDRESSES.venue.address,
        source_port=ADDRESSES.client.port,
        destination_port=ADDRESSES.venue.port,
        source_mac=ADDRESSES.client.hardware,
        destination_mac=ADDRESSES.venue.hardware,
    )


class Desk:
    """Sends, steps, collects. `feed` and `reports` are the raw messages heard so far, on line A and by the client."""

    def __init__(self, settings: Settings):
        self.bench = Bench(settings)
        self.venue = self.bench.venue
        self.frames: list[bytes] = []
        self.feed: list[bytes] = []
        self.reports: list[bytes] = []
        self.reference = 0
        self.step()

    def step(self, passed_ns: int = 50_000) -> None:
        self.bench.advance(passed_ns, STEPS)
        while frames := self.bench.collect():
            self.frames += frames
            self.feed += [message for packet in packets(frames, MAC_A) for message in packet.messages]
            self.reports += [message for packet in packets(frames, MAC_CLIENT) for message in packet.messages]
            self.bench.advance(0, STEPS)

    def say(self, payload: bytes) -> None:
        assert self.bench.send(order_frame(payload)), "the venue's io_core is full"

    def ask(self, payload: bytes) -> list[dict[str, Any]]:
        """Sends one message and returns the decoded reports it brought."""
        before = len(self.reports)
        self.say(payload)
        self.step()
        return [ouch50.decode(report, ouch50.OUTBOUND) for report in self.reports[before:]]

    def enter(self, **terms: Any) -> list[dict[str, Any]]:
        return self.ask(self.order(**terms))

    def order(
        self,
        side: str = "B",
        quantity: int = 100,
        price: int = 0,
        symbol: str = "SIM0000",
        life: str = "0",
        display: str = "Y",
        reference: int = 0,
        **options: Any,
    ) -> bytes:
        """An Enter Order; `price` 0: the middle of the symbol's window; `reference` 0: the next one; min_qty, post_only."""
        self.reference = reference or self.reference + 1
        return ouch50.encode(
            "EnterOrder",
            user_ref_num=self.reference,
            side=side,
            quantity=quantity,
            symbol=symbol,
            price=price or self.middle(),
            time_in_force=life,
            display=display,
            capacity="P",
            inter_market_sweep_eligibility="N",
            cross_type="N",
            cl_ord_id=f"ID{self.reference}",
            **options,
        )

    def middle(self, symbol: int = 0) -> int:
        return int(self.venue.symbols[symbol]["floor_price"]) + 512 * 100

    def heard(self, start: int = 0) -> list[dict[str, Any]]:
        """Feed messages from `start` on, decoded."""
        return [itch50.decode(message) for message in self.feed[start:]]
