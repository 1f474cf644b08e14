"""Requests, answers, notices and begin marks of the streams: msgpack maps within bounds. docs/protocols/link-streams.md

    channel 5   subscriber ── request ──► source ── answer, notice ──► subscriber
    channel 2,3             source ── begin mark (schema 0), then batches ──► subscriber

Hard rule: every field that is read is checked for type and bound first; what is off is refused with a reason word, and a map
with fields that nobody knows is refused as well.
"""

from typing import Any, NamedTuple

import msgpack

from gateway import limits

MARKET_DATA, SNAPSHOTS, EXECUTIONS, QUOTES = "market_data", "snapshots", "executions", "quotes"
STREAMS = (MARKET_DATA, SNAPSHOTS, EXECUTIONS, QUOTES)
CHANNELS = {EXECUTIONS: 1, MARKET_DATA: 2, SNAPSHOTS: 3, QUOTES: 4}
ANSWERS = 5  # the channel of requests and answers
SUBSCRIBE, UNSUBSCRIBE, SNAPSHOT, RENEW = "subscribe", "unsubscribe", "snapshot", "renew"
REQUESTS = (SUBSCRIBE, UNSUBSCRIBE, SNAPSHOT, RENEW)
ID_LAST = (1 << 63) - 1
NUMBER_LAST = (1 << 63) - 1


class Request(NamedTuple):
    """What a subscriber asks for. `cursor` '' is none; `join` wants market data and snapshots in one order."""

    request: str
    id: int
    stream: str
    cursor: str = ""
    join: bool = False
    token: bytes = b""


class Answer(NamedTuple):
    """What the source says to it. `resumed`: it goes on at the cursor; else a scan, or what comes next, begins it."""

    answer: int
    ok: bool
    reason: str = ""
    token_id: int = 0
    expires_ns: int = 0
    resumed: bool = False


class Ended(NamedTuple):
    """A stream ended without being asked to: the grant ran out, was revoked, or the source ends."""

    ended: str
    reason: str


class Begin(NamedTuple):
    """Stands in a channel of a stream before the first batch of a subscription, and again where it has to begin anew.

    What is in the channel before a mark belongs to what was; (id, generation) grows. `sequence` is the first record.
    """

    begin: int
    generation: int
    node: int
    boot_id: bytes
    sequence: int
    resumed: bool


FIELDS: dict[str, tuple[type, int]] = {
    "request": (str, 16),
    "id": (int, ID_LAST),
    "stream": (str, 16),
    "cursor": (str, 64),
    "join": (bool, 0),
    "token": (bytes, limits.LINK_TOKEN_BYTES_MAX),
    "answer": (int, ID_LAST),
    "ok": (bool, 0),
    "reason": (str, 32),
    "token_id": (int, 0xFFFF),
    "expires_ns": (int, NUMBER_LAST),
    "resumed": (bool, 0),
    "ended": (str, 16),
    "begin": (int, ID_LAST),
    "generation": (int, NUMBER_LAST),
    "node": (int, 0xFFFF),
    "boot_id": (bytes, 16),
    "sequence": (int, NUMBER_LAST),
}
KINDS: dict[str, type] = {"request": Request, "answer": Answer, "ended": Ended, "begin": Begin}


def encode(message: Request | Answer | Ended | Begin) -> bytes:
    """The bytes of it; fields that have their default are left out."""
    defaults = message._field_defaults
    return msgpack.packb({name: value for name, value in message._asdict().items() if defaults.get(name) != value})


def bare(request: Request) -> bytes:
    """A request without its token: what the token is made for (its payload)."""
    return encode(request._replace(token=b""))


def decode(body: bytes) -> Any:
    """A Request, Answer, Ended or Begin. Raises ValueError with a reason word for anything else."""
    if len(body) > limits.LINK_REQUEST_BYTES_MAX:
        raise ValueError("SIZE")
    try:
        fields = msgpack.unpackb(body, raw=False, strict_map_key=True, max_map_len=len(FIELDS))
    except (ValueError, msgpack.exceptions.UnpackException) as problem:
        raise ValueError("MALFORMED") from problem
    kind = next((KINDS[name] for name in KINDS if isinstance(fields, dict) and name in fields), None)
    if kind is None:
        raise ValueError("MALFORMED")
    for name, value in fields.items():
        if name not in kind._fields or not _holds(value, *FIELDS[name]):  # type: ignore[attr-defined]
            raise ValueError("FIELD")
    try:
        return kind(**fields)
    except TypeError as problem:
        raise ValueError("MISSING") from problem


def _holds(value: Any, kind: Any, bound: int) -> bool:
    """Whether a value is of its type, and no longer or greater than it may be."""
    if type(value) is not kind:
        return False
    return 0 <= value <= bound if kind is int else kind is bool or len(value) <= bound
