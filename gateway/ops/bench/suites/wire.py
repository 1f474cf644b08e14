"""Bytes on the wire of recorded sessions: the link beside JSON over WebSocket, FIX and msgpack. Formats: wire_formats.py.

The link's batching rule: a frame takes the next event while it holds no more than 16 KiB of records and the event came no
later than 64 µs (or 200 µs) after the frame's first, by the recorded receive times. Each frame has 80 bytes around its body:
32 header, 24 inner header, 4 CRC of the body, 16 tag, 4 CRC of the ciphertext. TCP, IP and TLS are counted for nobody,
though the link's bytes are encrypted and the others' are not.

Hard rule: every frame's body is unpacked and compared with its records before it counts.
"""

import numpy as np

from gateway.errors import CapabilityError
from gateway.layout import dtype, value
from gateway.link.compression import codec
from gateway.link.compression.schemas import SCHEMA_EVENT, SCHEMA_LINK, SCHEMAS
from gateway.ops.bench.suite import Plan, Result, Row, Target
from gateway.ops.bench.wire_formats import sizes
from gateway.ops.bench.wire_sessions import Session, recorded_sessions

TITLE = "Bytes on the wire of recorded sessions: JSON over WebSocket, FIX, msgpack and the link"
JSON = "JSON over WebSocket"
FRAME_BYTES = 32 + 24 + 4 + 16 + 4
BATCH_BYTES_MAX = 16 << 10
WAITS_NS = (64_000, 200_000)
SHARE_MAX = 0.6  # of JSON's bytes: at least 40 % fewer
QUICK_MESSAGES = 5_000
LAYOUTS = {schema.number: schema.layout for schema in SCHEMAS}


def run(plan: Plan) -> Result:
    """Both sessions in every format."""
    result = Result("wire", TITLE)
    plan.report(0.0, "decoding the sessions")
    try:
        sessions = recorded_sessions(plan.data, *([QUICK_MESSAGES] if plan.quick else []))
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
        return result
    result.settings = {"waits_ns": WAITS_NS, "frame_bytes": FRAME_BYTES, "batch_bytes_max": BATCH_BYTES_MAX}
    for index, session in enumerate(sessions):
        _measure(result, plan, session, index / len(sessions))
    return result


def _measure(result: Result, plan: Plan, session: Session, done: float) -> None:
    events, name = session.events, session.name
    result.settings[name] = {"source": session.source, "messages": len(session.messages), "events": len(events)}
    totals = sizes(session, name == "binance", lambda share: plan.report(done + share * 0.3, f"{name}: other formats"))
    for contender, total in totals.items():
        result.rows.append(_row(contender, name, total, len(events)))
    for wait_ns in WAITS_NS:
        plan.report(done + 0.4, f"{name}: the link, {wait_ns // 1000} µs")
        for contender, schema in (("the link, events", SCHEMA_EVENT), ("the link, slots", SCHEMA_LINK)):
            rows = events if schema == SCHEMA_EVENT else slots(events)
            starts = batches(events["time_receive_ns"], wait_ns, BATCH_BYTES_MAX // rows.itemsize)
            total, raw, wrong = framed(rows, starts, schema)
            row = _row(f"{contender}, {wait_ns // 1000} µs", name, total, len(events), f"{len(starts)} frames")
            result.rows.append(row)
            if wrong:
                row.correct = False
                result.failures.append(f"{name}: {wrong} frames came back as others")
            share = Target(f"{name}: {row.contender} / {JSON}", total / totals[JSON], SHARE_MAX, "×")
            result.targets.append(share)
            result.settings[name][row.contender] = {"bytes": total, "raw_bytes": raw, "frames": len(starts)}
    result.settings[name] |= {contender: {"bytes": total} for contender, total in totals.items()}


def _row(contender: str, name: str, total: int, events: int, note: str = "") -> Row:
    return Row(contender, f"{name}, an event", "B", contender.startswith("the link"), True, [total / events], note)


def batches(times: np.ndarray, wait_ns: int, room: int) -> list[int]:
    """Index of the first event of every frame, by the rule above; `room` is how many records it takes at most."""
    starts = [0]
    values = times.tolist()
    for index, time_ns in enumerate(values):
        first = starts[-1]
        if index - first >= room or time_ns - values[first] > wait_ns:
            starts.append(index)
    return starts


def slots(events: np.ndarray) -> np.ndarray:
    """The events as core publishes them: in slots of core_link without their sequence words (link/batch.py)."""
    rows = np.zeros(len(events), LAYOUTS[SCHEMA_LINK])
    rows["event"], rows["kind"] = events, value("LINK_EVENT")
    rows["size"] = dtype("link_slot").itemsize - 16
    rows["time_ns"], rows["arrivals"] = events["time_receive_ns"], np.arange(1, len(events) + 1)
    return rows


def framed(rows: np.ndarray, starts: list[int], schema: int) -> tuple[int, int, int]:
    """(bytes of all frames, bytes of their records, frames that came back as others)."""
    total = wrong = 0
    for first, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        batch = rows[first:end]
        if schema == SCHEMA_LINK:
            batch = batch.copy()
            batch["size"][0], batch["source_sequence"][0] = 1, first + 1  # the batch's head: one behind the last, its number
        raw = batch.tobytes()
        body = codec.pack(schema, raw)
        wrong += codec.unpack(schema, body, len(raw)) != raw
        total += FRAME_BYTES + min(len(body), len(raw))
    return total, rows.nbytes, wrong
