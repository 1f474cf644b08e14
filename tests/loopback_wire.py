"""What a TCP client sends over loopback, each packet with the kernel's own stamp, however late the server reads it.

A socket's stamp is that of the newest bytes in a run that the kernel has joined: a venue that does not read for a while
finds an order stamped like the cancels behind it. Here every segment keeps its own. Needs root (a packet socket).
"""

import socket
import struct
import threading
from collections import defaultdict

ETHERNET_BYTES, TCP, TO_US = 14, 6, socket.PACKET_HOST
STAMP_OPTION, BUFFER_OPTION = 35, 33  # SO_TIMESTAMPNS, SO_RCVBUFFORCE (asm-generic/socket.h)
STAMP = struct.Struct("qq")
BUFFER_BYTES, SEGMENT_BYTES = 64 << 20, 1 << 17
LOOK_SECONDS = 0.2
SECOND_NS = 1_000_000_000


class LoopbackWire:
    """Packets of SoupBinTCP to one port: `stamps[letter, reference]`, ns since the epoch, first arrival."""

    def __init__(self, port: int):
        self.stamps: dict[tuple[str, int], int] = {}
        self._port = port
        self._streams: dict[int, bytes] = defaultdict(bytes)  # by the client's port
        self._next: dict[int, int] = {}  # sequence number that follows
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self._socket.setsockopt(socket.SOL_SOCKET, BUFFER_OPTION, BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, STAMP_OPTION, 1)
        self._socket.bind(("lo", 0x0800))
        self._socket.settimeout(LOOK_SECONDS)
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listens no more."""
        self._open = False
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while self._open:
            try:
                frame, notes, _, address = self._socket.recvmsg(SEGMENT_BYTES, socket.CMSG_SPACE(STAMP.size))
            except TimeoutError:
                continue
            if address[2] == TO_US and len(frame) > ETHERNET_BYTES + 40 and frame[ETHERNET_BYTES + 9] == TCP:
                seconds, rest = STAMP.unpack(notes[0][2])
                self._segment(frame[ETHERNET_BYTES:], seconds * SECOND_NS + rest)

    def _segment(self, packet: bytes, stamp_ns: int) -> None:
        header = 4 * (packet[0] & 0x0F)
        source, destination, sequence = struct.unpack_from("!HHI", packet, header)
        if destination != self._port:
            return
        payload = packet[header + 4 * (packet[header + 12] >> 4) : int.from_bytes(packet[2:4], "big")]
        if not payload:
            return
        if sequence != self._next.get(source, sequence):  # another connection of the same port, or a segment was missed
            self._streams[source] = b""
        self._next[source] = (sequence + len(payload)) & 0xFFFFFFFF
        self._streams[source] = self._packets(self._streams[source] + payload, stamp_ns)

    def _packets(self, stream: bytes, stamp_ns: int) -> bytes:
        """Notes every whole packet; what is left."""
        while len(stream) >= 2 and len(stream) >= (end := 2 + int.from_bytes(stream[:2], "big")):
            if stream[2:3] == b"U" and end >= 8:  # unsequenced data: an OUCH message, its UserRefNum behind its letter
                key = chr(stream[3]), int.from_bytes(stream[4:8], "big")
                self.stamps.setdefault(key, stamp_ns)
            stream = stream[end:]
        return stream
