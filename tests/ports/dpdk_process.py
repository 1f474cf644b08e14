"""Programs with a dpdk port in processes of their own: EAL starts once per process, and its faults must stay in there."""

import subprocess
import sys

PRELUDE = """
import sys, time
from gateway.errors import GatewayError
from gateway.port import open_port

def frame(index, size=100):
    return bytes.fromhex("02000000000202000000000188b5") + index.to_bytes(4, "big") + bytes(size - 18)

def udp_frame(index, size=100, source=5000, checksum=None):
    import struct
    from tests.naive_frames import sum_of
    body = index.to_bytes(4, "big") + bytes(size - 46)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(body), 0, 0, 9, 17, 0, bytes([10, 0, 0, 1]), bytes([239, 1, 1, 1]))
    ip = ip[:10] + (sum_of(ip) ^ 0xFFFF).to_bytes(2, "big") + ip[12:]
    udp = struct.pack("!HHH", source, 6000, 8 + len(body))
    right = sum_of(ip[12:20] + bytes((0, 17)) + udp[4:6] + udp + body) ^ 0xFFFF or 0xFFFF
    field = right if checksum is None else checksum
    return bytes.fromhex("01005e0101010200000000010800") + ip + udp + field.to_bytes(2, "big") + body

def collect(port, count, seconds=10.0):
    frames, deadline = [], time.monotonic() + seconds
    while len(frames) < count and time.monotonic() < deadline:
        frames += [row for row in port.receive() if row.data[12:14] == b"\\x88\\xb5"]
    return [row.data for row in frames]

def send(port, frames, seconds=10.0):
    sent, deadline = 0, time.monotonic() + seconds
    while sent < len(frames) and time.monotonic() < deadline:
        sent += port.transmit(frames[sent : sent + 64])
        if not sent:
            port.receive()   # a memif client looks for its server here
    return sent
"""


def start(program, *arguments, before=()):
    return subprocess.Popen(
        [*before, sys.executable, "-c", PRELUDE + program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, seconds=30):
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, errors
    return output.strip()


def run(program, *arguments):
    return finish(start(program, *arguments))


ECHO = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    frames = collect(port, int(sys.argv[2]))
    print(len(frames), send(port, frames), flush=True)
    collect(port, 1, 0.5)   # lets the peer fetch them before the device goes away
"""

ASK = """
with open_port(sys.argv[1]) as port:
    frames = [frame(index, 60 + index % 1400) for index in range(int(sys.argv[2]))]
    print(send(port, frames), collect(port, len(frames)) == frames, port.statistics()["frames_transmitted"])
"""
