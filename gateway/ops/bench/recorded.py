"""Recorded captures as input of a suite."""

from pathlib import Path

import numpy as np

from gateway.layout import dtype, value
from gateway.port import open_port
from gateway.protocols.udp import parse_frame


def payloads_of(path: Path) -> list[bytes]:
    """The UDP payloads of a capture, as they were recorded."""
    row = np.zeros(1, dtype("datagram"))
    payloads = []
    with open_port(f"pcap:{path}") as port:
        for frame in port:
            area = np.frombuffer(frame.data, np.uint8)
            if parse_frame(area.ctypes.data, len(frame.data), frame.flags, row.ctypes.data) == value("FEED_OK"):
                begin = int(row[0]["payload"]) - area.ctypes.data
                payloads.append(frame.data[begin : begin + int(row[0]["size"])])
    return payloads
