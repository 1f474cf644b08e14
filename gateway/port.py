"""One port ① from Python: open, receive, transmit, statistics. For tools and tests; the corridor polls ports in C.

    with open_port("pcap:day.pcapng") as port:
        for frame in port:
            print(frame.time_ns, len(frame.data))

Hard rule: frames are copied out before the port gets its buffers back, so nothing here outlives a burst in the port.
"""

import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple

from gateway.errors import CapabilityError, GatewayError, PortError, PortNameError
from gateway.native import address, ffi, lib, text

IDLE_SECONDS = 0.0005  # between two empty polls of an iteration
CALIBRATION_NS = 10_000_000


class Frame(NamedTuple):
    """One frame as a port delivered it."""

    data: bytes
    time_ns: int  # hardware or capture time; 0: the port does not stamp
    size_wire: int  # bytes on the wire; larger than len(data): cut by the port
    flags: int  # enum frame_flag


def open_error(outcome: int, why: str) -> GatewayError:
    """What `port_open` refused, as the error with its exit code."""
    kinds: dict[int, type[GatewayError]] = {lib.PORT_INCAPABLE: CapabilityError, lib.PORT_MISNAMED: PortNameError}
    return kinds.get(outcome, PortError)(why)


def check_port(name: str) -> None:
    """Raises what can be said against a name before anything is opened: it takes no time and changes nothing."""
    error = ffi.new("char[]", lib.PORT_ERROR_BYTES)
    outcome = lib.port_check(os.fsencode(name), error)
    if outcome != 0:
        raise open_error(outcome, text(error))


@cache
def _clock() -> Any:
    """This process's calibration of the TSC, measured once."""
    calibration = ffi.new("struct clock_calibration *")
    lib.clock_calibrate(calibration, CALIBRATION_NS)
    return calibration


class Port:
    """An open port. Make it with `open_port`; use it from one thread."""

    def __init__(self, name: str):
        self.name = name
        self._port = ffi.new("struct port *")
        self._frames = ffi.new("struct port_frame[]", lib.PORT_BURST_MAX)
        error = ffi.new("char[]", lib.PORT_ERROR_BYTES)
        outcome = lib.port_open(self._port, os.fsencode(name), _clock(), error)
        self._open = outcome == 0
        if not self._open:
            raise open_error(outcome, text(error))

    @property
    def _operations(self) -> Any:
        if not self._open:
            raise PortError(f"port {self.name} is closed; open it again")
        return self._port.operations

    @property
    def address(self) -> int:
        """Address of the struct port, for C that polls it; valid until it is closed."""
        assert self._operations
        return address(self._port)

    @property
    def patient(self) -> bool:
        """Whether input waits while nobody reads: true for a capture, false for an interface."""
        return bool(self._operations.patient)

    @property
    def time_ns(self) -> int:
        """The port's own clock where it is not real time: the time of a capture's last frame; else 0."""
        return int(self._port.time_ns)

    def receive(self, limit: int = 64) -> list[Frame] | None:
        """Up to `limit` frames that are there now (at most one burst of 64), or None: nothing will ever come again."""
        operations = self._operations
        count = operations.receive(self._port, self._frames, min(limit, lib.PORT_BURST_MAX))
        if count < 0:
            return None
        frames = [
            Frame(bytes(ffi.buffer(frame.data, frame.size)), frame.time_ns, frame.size_wire, frame.flags)
            for frame in self._frames[0:count]
        ]
        operations.release(self._port)
        return frames

    def __iter__(self) -> Iterator[Frame]:
        """Every frame until the end of a capture; over an interface it goes on until the port is closed."""
        while (frames := self.receive()) is not None:
            yield from frames
            if not frames:
                time.sleep(IDLE_SECONDS)

    def transmit(self, frames: Sequence[bytes], flags: int = 0) -> int:
        """Frames taken, in order; fewer than given when the port is full. `flags` (enum frame_flag) says what they lack."""
        taken = 0
        for start in range(0, len(frames), lib.PORT_BURST_MAX):
            burst = [ffi.from_buffer("uint8_t[]", data) for data in frames[start : start + lib.PORT_BURST_MAX]]
            records = ffi.new("struct port_frame[]", len(burst))
            for record, data in zip(records, burst, strict=True):
                record.data, record.size, record.size_wire, record.flags = data, len(data), len(data), flags
            step = self._operations.transmit(self._port, records, len(burst))
            taken += step
            if step < len(burst):
                break
        return taken

    def statistics(self) -> dict[str, int]:
        """Counters since `open`, by the names of struct port_statistics."""
        counters = ffi.new("struct port_statistics *")
        self._operations.statistics(self._port, counters)
        return {name: getattr(counters, name) for name, _ in ffi.typeof("struct port_statistics").fields}

    def describe(self) -> dict[str, str]:
        """How the port was set up, by name; empty where there was nothing to choose."""
        words = ffi.new("char[]", lib.PORT_TEXT_BYTES)
        if self._operations.describe:
            lib.port_describe(self._port, words)
        return words_of(text(words))

    def follow(self, destinations: Sequence[tuple[int, int]]) -> None:
        """Tells the device which (address in host order, UDP port) matter, so that it may sort by them."""
        rows = [address << 16 | port for address, port in destinations]
        if self._operations.follow:
            lib.port_follow(self._port, ffi.new("uint64_t[]", rows), len(rows))

    def close(self) -> int:
        """Gives everything back; a second call does nothing. Returns packet buffers that a driver kept: 0."""
        if self._open:
            self._open = False
            lib.port_close(self._port)
        return int(self._port.buffers_lost)

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()


def words_of(description: str) -> dict[str, str]:
    """The KEY=VALUE words with which a port describes how it was set up."""
    return dict(word.split("=", 1) for word in description.split() if "=" in word)


def open_port(name: str) -> Port:
    """Opens `KIND:ARGUMENT`, e.g. `pcap:day.pcapng`, `af_packet:eth0`.

    Raises PortError when the name or the file is off, CapabilityError when the host lacks privilege, device or library;
    either message is one line that says the mend.
    """
    return Port(name)


def port_kinds() -> list[str]:
    """The kinds that this build knows."""
    return text(lib.port_kinds()).split()
