"""Order data packed and unpacked: ratio, and raw megabytes a second of thread-CPU time in each direction.

packet   25 records of 56 bytes, 1,400 bytes, each piece readable alone (but `zstd stream`, which says so)
frame    292 records, 16 KiB: what a frame of the link carries at most
whole    all of it in pieces of 1 MiB, the most that one body may be; for the libraries in one piece

Hard rule: whoever does not give every byte back has no figures.
"""

import time

from gateway import limits
from gateway.errors import CapabilityError
from gateway.ops.bench.compression_peers import KERNELS, OURS, PACKERS, RECORD_BYTES, Packer
from gateway.ops.bench.order_records import Records, recorded, seeded
from gateway.ops.bench.rounds import find, interleave, median
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "Compression of order data: ratio and raw MB/s, beside lz4, zstd, blosc2 and pcodec"
SEED, SEEDED_RECORDS = 20260, 20_000
PACKET_RECORDS, FRAME_RECORDS = 25, 292
WHOLE_RECORDS = limits.CODEC_RAW_BYTES_MAX // RECORD_BYTES
SIZES = {"packet": PACKET_RECORDS, "frame": FRAME_RECORDS, "whole": WHOLE_RECORDS}
RATIO, PACK, UNPACK = "ratio", "pack", "unpack"
UNITS = {f"{size}, {what}": "x" if what == RATIO else "MB/s" for size in SIZES for what in (RATIO, PACK, UNPACK)}
RATIOS_LEAST = {"packet": 3.0, "whole": 7.0}
RATIO_GOAL = 5.0
NS_PER_BYTE_MAX = 2.5  # 400 MB/s


def run(plan: Plan) -> Result:
    """Every packer over the same records, in turn."""
    result, rounds = Result("compression", TITLE), 3 if plan.quick else 9
    plan.report(0.0, "reading the records")
    try:
        records = recorded(plan.data)
    except CapabilityError as problem:
        result.notes.append(f"a seeded stream: {problem}")
        records = seeded(SEEDED_RECORDS, SEED)
    result.settings = {"source": records.source, "recorded": records.recorded, "records": len(records.rows)}
    result.settings |= {"rounds": rounds, "pieces_records": SIZES, "clock": "CLOCK_THREAD_CPUTIME_ID"}
    contenders, raw = [], records.rows.tobytes()
    for name, make in PACKERS.items():
        try:
            contenders.append(_contender(name, make(), raw))
        except CapabilityError as problem:
            result.skipped[name] = str(problem)
    result.rows = interleave(contenders, rounds, UNITS, "same bytes", plan)
    _judge(result, records)
    return result


def _pieces(raw: bytes, size: str, ours: bool) -> list[bytes]:
    length = SIZES[size] * RECORD_BYTES
    if size == "whole" and not ours:
        return [raw]
    return [raw[at : at + length] for at in range(0, len(raw), length)]


def _contender(name: str, packer: Packer, raw: bytes) -> Contender:
    ours = name in (OURS, KERNELS)
    pieces = {size: packer.prepare(_pieces(raw, size, ours)) for size in SIZES}

    def run_round() -> Reading:
        values, same = {}, True
        for size, given in pieces.items():
            begin = time.thread_time_ns()
            packed = packer.pack(given)
            middle = time.thread_time_ns()
            back = packer.unpack(packed, given)
            end = time.thread_time_ns()
            same &= packer.joined(back) == raw
            values[f"{size}, {RATIO}"] = len(raw) / sum(map(len, packed))
            values[f"{size}, {PACK}"] = len(raw) * 1e3 / (middle - begin)
            values[f"{size}, {UNPACK}"] = len(raw) * 1e3 / (end - middle)
        return Reading(values, "same bytes" if same else "other bytes")

    return Contender(name, ours, run_round, packer.note)


def _judge(result: Result, records: Records) -> None:
    ratios = {size: find(result.rows, OURS, f"{size}, {RATIO}") for size in SIZES}
    if any(row is None for row in ratios.values()):
        result.failures.append("gateway's records came back as others")
        return
    if not records.recorded:
        return
    for size, least in RATIOS_LEAST.items():
        row = ratios[size]
        assert row is not None
        result.targets.append(Target(f"packed bytes of 100 raw ones, {size}", 100 / median(row), 100 / least, "B"))
    packet = ratios["packet"]
    assert packet is not None
    result.targets.append(Target("the same, packet, goal", 100 / median(packet), 100 / RATIO_GOAL, "B"))
    for contender in (KERNELS, OURS):
        for what in (PACK, UNPACK):
            row = find(result.rows, contender, f"packet, {what}")
            if row is not None:
                result.targets.append(Target(f"{contender}, {what}, packet", 1e3 / median(row), NS_PER_BYTE_MAX, "ns/B"))
