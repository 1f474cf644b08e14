"""The cable between a guest's data-plane card and the host: copies frames between QEMU and a port, both ways.

    venue ── pair:NAME,side=b ══ pair:NAME ── this ── TCP ── QEMU -netdev socket,listen=…      qemu:HOST:PORT
                                                   └─ DPDK net_vhost ── QEMU -netdev vhost-user  dpdk:net_vhost0,…

    python vagrant/wire.py qemu:127.0.0.1:47110 pair:vagrant-virtio

Needs no privilege. On the TCP stream each frame has its length in front, four bytes, big endian (QEMU, net/socket.c).
Hard rule: it neither reorders nor invents frames, and drops only what a far end has not taken for a second, counted.
"""

import contextlib
import json
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Protocol

from gateway.errors import GatewayError, UsageError
from gateway.limits import FRAME_BYTES_MAX
from gateway.port import open_port

BURST = 64
READ_BYTES = 1 << 16
UNSENT_BYTES_MAX = 1 << 20  # of frames that TCP has not taken yet
CONNECT_SECONDS = 0.2  # between two attempts
PATIENCE_SECONDS = 1.0
IDLE_SECONDS = 0.0002
LENGTH = struct.Struct(">I")


class End(Protocol):
    """One side of the cable."""

    def receive(self) -> list[bytes]:
        """What has arrived, at most about a burst."""

    def transmit(self, frames: list[bytes]) -> int:
        """Frames taken, in order."""

    def close(self) -> None:
        """Gives everything back."""


class PortEnd:
    """Any port of the gateway."""

    def __init__(self, name: str):
        self.port = open_port(name)

    def receive(self) -> list[bytes]:
        """One burst."""
        return [frame.data for frame in self.port.receive(BURST) or []]

    def transmit(self, frames: list[bytes]) -> int:
        """As many as the port takes."""
        return self.port.transmit(frames)

    def close(self) -> None:
        """Closes the port."""
        self.port.close()


class QemuEnd:
    """QEMU's socket network: it listens, we call again whenever the guest has gone."""

    def __init__(self, place: str):
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"qemu:{place}: write it as qemu:127.0.0.1:47110")
        self.address = (host, int(port))
        self.stream: socket.socket | None = None
        self.tried = 0.0
        self.arrived, self.unsent = bytearray(), bytearray()

    def receive(self) -> list[bytes]:
        """Every whole frame that has arrived; a damaged length ends the connection: nothing behind it can be believed."""
        if not self._connected():
            return []
        assert self.stream is not None
        self._flush()
        try:
            data = self.stream.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
            return []
        self.arrived += data
        return self._whole_frames()

    def _whole_frames(self) -> list[bytes]:
        frames, start = [], 0
        while len(self.arrived) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self.arrived, start)
            if not 0 < length <= READ_BYTES:
                self.close()
                return frames
            if len(self.arrived) - start - LENGTH.size < length:
                break
            start += LENGTH.size
            frames.append(bytes(self.arrived[start : start + length]))
            start += length
        del self.arrived[:start]
        return frames

    def transmit(self, frames: list[bytes]) -> int:
        """All or none: none while nobody is connected or too much waits."""
        if not self._connected() or len(self.unsent) > UNSENT_BYTES_MAX:
            return 0
        for frame in frames:
            self.unsent += LENGTH.pack(len(frame)) + frame
        self._flush()
        return len(frames)

    def _flush(self) -> None:
        if self.unsent and self.stream is not None:
            try:
                del self.unsent[: self.stream.send(self.unsent)]
            except BlockingIOError:
                pass
            except OSError:
                self.close()

    def _connected(self) -> bool:
        now = time.monotonic()
        if self.stream is None and now - self.tried > CONNECT_SECONDS:
            self.tried = now
            with contextlib.suppress(OSError):
                self.stream = socket.create_connection(self.address, timeout=CONNECT_SECONDS)
                self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.stream.setblocking(False)
        return self.stream is not None

    def close(self) -> None:
        """Hangs up; the next call finds QEMU again."""
        if self.stream is not None:
            self.stream.close()
        self.stream = None
        self.arrived.clear()
        self.unsent.clear()


class Lane:
    """One direction: what was received and not yet taken waits here, and nothing more is read meanwhile."""

    def __init__(self, source: End, target: End):
        self.source, self.target = source, target
        self.waiting: list[bytes] = []
        self.moved = time.monotonic()
        self.copied = self.dropped = self.oversized = 0

    def step(self) -> int:
        """Moves what it can; returns how many frames that were."""
        if not self.waiting:
            arrived = self.source.receive()
            self.waiting = [frame for frame in arrived if len(frame) <= FRAME_BYTES_MAX]
            self.oversized += len(arrived) - len(self.waiting)
            self.moved = time.monotonic()
        if not self.waiting:
            return 0
        taken = self.target.transmit(self.waiting[:BURST])
        del self.waiting[:taken]
        self.copied += taken
        if taken:
            self.moved = time.monotonic()
        elif time.monotonic() - self.moved > PATIENCE_SECONDS:
            self.dropped += len(self.waiting)
            self.waiting.clear()
        return taken


def open_end(name: str) -> End:
    """`qemu:HOST:PORT`, or the name of a port. A vhost-user socket is opened to the user QEMU runs as."""
    if name.startswith("qemu:"):
        return QemuEnd(name.removeprefix("qemu:"))
    end = PortEnd(name)
    for word in name.split(","):
        if word.startswith("iface=/"):
            Path(word.removeprefix("iface=")).chmod(0o666)
    return end


def leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends like Ctrl-C."""
    raise KeyboardInterrupt


def main(words: list[str]) -> int:
    """Copies until SIGTERM; prints what it copied as one JSON object."""
    if len(words) != 2:
        print("usage: wire.py qemu:HOST:PORT|PORT PORT", file=sys.stderr)
        return UsageError.exit_code
    signal.signal(signal.SIGTERM, leave)
    try:
        guest, host = (open_end(name) for name in words)
    except (GatewayError, OSError) as problem:
        print(f"wire: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", GatewayError.exit_code)
    to_guest, to_host = Lane(host, guest), Lane(guest, host)
    print("wire: ready", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if to_guest.step() + to_host.step() == 0:
                time.sleep(IDLE_SECONDS)
    for end in (guest, host):
        end.close()
    names = ("copied", "dropped", "oversized")
    lanes = {"to_guest": to_guest, "to_host": to_host}
    print(json.dumps({name: {key: getattr(lane, key) for key in names} for name, lane in lanes.items()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
