"""The one UDP socket of the link: signs of life of all peers, in and out.

Inside transport.py. Hard rule: a datagram's address is believed once the datagram is, and never before.
"""

import socket
from collections.abc import Mapping

from gateway import limits
from gateway.link.peers.acceptor import Acceptor
from gateway.link.stream_socket import PASSING

DATAGRAM_COUNTERS = ("datagrams_in", "datagrams_out", "unsendable")
Address = tuple[str, int]


class DatagramSocket:
    """Never blocks. `addresses`: where datagrams to a peer go until it has been heard; `counters` are the transport's."""

    def __init__(self, addresses: Mapping[int, Address], counters: dict[str, int]):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.descriptor = self.socket.fileno()
        self._where, self._counters = dict(addresses), counters

    def drain(self, acceptor: Acceptor, now_ns: int) -> None:
        """Hands over what has arrived, a bounded number."""
        for _ in range(limits.LINK_DATAGRAMS_PER_TURN):
            try:
                data, address = self.socket.recvfrom(limits.LINK_DATAGRAM_BYTES_MAX)
            except OSError as problem:
                if problem.errno in PASSING:
                    return
                continue  # an ICMP answer to what we sent: nobody is there yet
            self._counters["datagrams_in"] += 1
            peer = acceptor.datagram(data, address[0], now_ns)
            if peer is not None:
                self._where[peer.settings.remote_node] = address

    def send(self, node: int, data: bytes) -> None:
        """To where this peer was heard from last; dropped where nobody knows that, or nothing leads there."""
        address = self._where.get(node)
        if address is None:
            return
        try:
            self.socket.sendto(data, address)
            self._counters["datagrams_out"] += 1
        except OSError:  # no route, no room: the next one follows in a moment
            self._counters["unsendable"] += 1
