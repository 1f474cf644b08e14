"""Ready Ethernet frames for the order messages ⑧: everything that two orders of one session have in common.

    [ Ethernet 14 ][ IPv4 20 ][ UDP 8 ][ one OUCH 5.0 inbound message ]

Lengths and the IP checksum depend on the message alone and are computed here, once; the UDP checksum is summed up to the
payload here and finished when the payload is known. It is never left at 0: nothing else guards a price between two NICs.
Hard rule: the client order id is a function of site, epoch and reference, so an order can be asked for after any crash.

    ClOrdID, 14 characters   [ site: 1 ][ epoch: 5, base 32 ][ tag: 8, base 32 ]       digits 0-9 A-V
    tag, 40 bits             [ 0: 5 ][ strategy's row: 3 ][ 0: 1 ][ reference: 31 ]
"""

import struct
from typing import Any

import numpy as np

from gateway import layout
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from gateway.protocols import ouch50

HEADERS_BYTES = 14 + 20 + 8
UDP_OFFSET = 14 + 20
UDP_PROTOCOL = 17
TIME_TO_LIVE = 64
ETHERNET_IPV4 = b"\x08\x00"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
EPOCH_CHARACTERS, REFERENCE_CHARACTERS = 5, 8
STRATEGY_SHIFT = 32
POST_ONLY = "P"  # OUCH 5.0, appendix A, Post Only
EPOCH_MAX = 32**EPOCH_CHARACTERS - 1
CAPACITIES = {"agency": "A", "principal": "P", "riskless": "R", "other": "O"}  # OUCH 5.0, 2.1, Capacity


Endpoint = tuple[int, int]  # IPv4 in host order, UDP port


def base32(number: int, characters: int) -> str:
    """`number` in the digits 0-9 A-V, most significant first, leading zeros kept."""
    return "".join(DIGITS[number >> (5 * place) & 31] for place in reversed(range(characters)))


def client_order_id(site: str, epoch: int, reference: int, strategy: int = 0) -> str:
    """The 14 characters every order of ours carries; `strategy` is its row, from 0."""
    return site + base32(epoch, EPOCH_CHARACTERS) + base32(reference | strategy << STRATEGY_SHIFT, REFERENCE_CHARACTERS)


def check_identity(site: str, epoch: int) -> None:
    """Refuses (ConfigurationError) what would not fit a client order id."""
    if not 1 <= epoch <= EPOCH_MAX:
        raise ConfigurationError(f"epoch {epoch} does not fit client order ids; use 1 to {EPOCH_MAX}")
    if len(site) != 1 or not site.isalnum() or not site.isascii():
        raise ConfigurationError(f'site {site!r} is not one letter or digit; write [session] site = "A"')


def reducing_order(client_order: str, firm: str, capacity: str, terms: dict[str, Any]) -> bytes:
    """An Enter Order (2.1) of control's own: `terms` are reference, side "B" or "S", quantity, symbol, price, lifetime."""
    given: dict[str, Any] = {"display": "Y", "inter_market_sweep_eligibility": "N", "cross_type": "N", **terms}
    options = {"firm": firm} if firm else {}
    return ouch50.encode("EnterOrder", cl_ord_id=client_order, capacity=CAPACITIES[capacity], **given, **options)


def order_messages(client_order: str, firm: str, capacity: str) -> dict[str, bytes]:
    """The order messages of a session, by their field of struct order_template; what differs between orders is 0.

    `enter_whole` ends with the minimum quantity: the kernel writes it there.
    """
    given: dict[str, Any] = {"display": "Y", "inter_market_sweep_eligibility": "N", "cl_ord_id": client_order}
    options = {"firm": firm} if firm else {}
    terms = {"capacity": CAPACITIES[capacity], "cross_type": "N"}
    enter, post = {**given, **terms, **options}, {"post_only": POST_ONLY}
    return {
        "enter": ouch50.encode("EnterOrder", **enter),
        "enter_whole": ouch50.encode("EnterOrder", **enter, min_qty=0),
        "enter_post": ouch50.encode("EnterOrder", **enter, **post),
        "replace": ouch50.encode("ReplaceOrder", **given),
        "replace_post": ouch50.encode("ReplaceOrder", **given, **post),
        "cancel": ouch50.encode("CancelOrder"),
        "mass_cancel": ouch50.encode("MassCancel", firm=firm),
    }


class OrderFrames:
    """The frame templates of one order session; `address` is a struct order_template for the kernels.

    our_mac, venue_mac          6 bytes each
    our_address, venue_address  (IPv4 in host order, UDP port)
    epoch                       fencing epoch, 1 to 33,554,431; `site` is one of A-Z 0-9
    firm                        up to 4 characters, empty: the session's own;  capacity: a key of CAPACITIES

    The contract of a carriage, which order_packets.py implements too: `address`, `cancel`, `mass_cancel`,
    `reduce`, `client_order_id`, the rings that take what core and control send, and the process behind them.
    """

    orders_ring, control_ring = "core_io", "control_io"
    process = "PROCESS_IO"
    connection_first = 0  # the number of the connection that core has heard at the start: datagrams need none

    def __init__(
        self,
        *,
        our_mac: bytes,
        venue_mac: bytes,
        our_address: tuple[int, int],
        venue_address: tuple[int, int],
        epoch: int,
        site: str,
        firm: str = "",
        capacity: str = "principal",
    ):
        check_identity(site, epoch)
        self._ethernet = venue_mac + our_mac
        self._source, self._target = our_address, venue_address
        self._firm, self._epoch, self._site, self._capacity = firm, epoch, site, capacity
        self.array = np.zeros(1, dtype=layout.dtype("order_template"))
        for name, message in order_messages(client_order_id(site, epoch, 0), firm, capacity).items():
            self.array[name][0] = datagram_template(self._ethernet, self._source, self._target, message)[0]

    @property
    def address(self) -> int:
        """Address of the struct order_template."""
        return address_of(self.array)

    def cancel(self, reference: int, quantity: int = 0) -> bytes:
        """The frame that cancels an order (or makes it `quantity` in all), for use outside the corridor."""
        return self._frame(ouch50.encode("CancelOrder", user_ref_num=reference, quantity=quantity))

    def mass_cancel(self, reference: int, symbol: str = "") -> bytes:
        """The frame that cancels every order of a symbol, or of the session; `reference` must be a new one."""
        return self._frame(ouch50.encode("MassCancel", user_ref_num=reference, firm=self._firm, symbol=symbol))

    def reduce(self, client_order: str, **terms: Any) -> bytes:
        """The frame of an order that makes a position smaller: `reducing_order`."""
        return self._frame(reducing_order(client_order, self._firm, self._capacity, terms))

    def client_order_id(self, reference: int, strategy: int = 0) -> str:
        """The client order id of one order of this session."""
        return client_order_id(self._site, self._epoch, reference, strategy)

    def _frame(self, message: bytes) -> bytes:
        frame = bytearray(_headers(self._ethernet, self._source, self._target, len(message)) + message)
        pseudo_header = _pseudo_header(self._source, self._target, len(message))
        checksum = _checksum(pseudo_header + frame[UDP_OFFSET:]) or 0xFFFF
        frame[UDP_OFFSET + 6 : UDP_OFFSET + 8] = checksum.to_bytes(2, "little")
        return bytes(frame)


def datagram_template(macs: bytes, source: Endpoint, target: Endpoint, message: bytes) -> np.ndarray:
    """A struct order_frame (array of one) around a message whose changing bytes are 0; `macs` is target, then source."""
    row = np.zeros(1, dtype=layout.dtype("order_frame"))
    frame = _headers(macs, source, target, len(message)) + message
    row["bytes"][0][: len(frame)] = np.frombuffer(frame, dtype=np.uint8)
    row["size"], row["message_offset"] = len(frame), HEADERS_BYTES
    row["checksum_offset"] = UDP_OFFSET + 6
    row["checksum"] = _sum(_pseudo_header(source, target, len(message)) + frame[UDP_OFFSET:HEADERS_BYTES])
    return row


def _headers(macs: bytes, source: Endpoint, target: Endpoint, payload_bytes: int) -> bytes:
    """RFC 791: no options, do not fragment. RFC 768: checksum still 0."""
    fixed = (0x45, 0, 28 + payload_bytes, 0, 0x4000, TIME_TO_LIVE, UDP_PROTOCOL)
    addresses = struct.pack(">II", source[0], target[0])
    bare = struct.pack(">BBHHHBBH", *fixed, 0) + addresses
    ip = bare[:10] + _checksum(bare).to_bytes(2, "little") + bare[12:]
    return macs[:12] + ETHERNET_IPV4 + ip + struct.pack(">HHHH", source[1], target[1], 8 + payload_bytes, 0)


def _pseudo_header(source: Endpoint, target: Endpoint, payload_bytes: int) -> bytes:
    """RFC 768: what the UDP checksum covers besides the datagram."""
    return struct.pack(">IIBBH", source[0], target[0], 0, UDP_PROTOCOL, 8 + payload_bytes)


def _sum(data: bytes | bytearray) -> int:
    """Sum of the 16-bit words as a little-endian machine reads them; RFC 1071: the byte order cancels out."""
    padded = bytes(data) + b"\0" * (len(data) & 1)
    return sum(struct.unpack(f"<{len(padded) // 2}H", padded))


def _checksum(data: bytes | bytearray) -> int:
    total = _sum(data)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
