"""The decoders of crypto venues the slow way: a JSON value becomes one `Message`. What the documents of each venue say,
line by line, without a thought of speed. Raises Refused; returns CONTROL or UNKNOWN for what is no market data.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.naive_json import Number, Pairs, Refused, decimal, decimal_of, get, integer, load, rows_of, text

CONTROL, UNKNOWN = "control", "unknown"
Row = tuple[int, Decimal, Decimal, int, int]  # side, price, quantity, id, time


@dataclass
class Message:
    """What a message says: kind d, s, t or k."""

    kind: str
    symbol: str | None
    rows: list[Row]
    time_ns: int = 0
    sequence: int = 0
    ids: tuple[int, int, int] = (0, 0, 0)  # first, last, before
    checksum: int | None = None
    depth: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def _plain(rows: list[Any]) -> list[Row]:
    return [(side, price, quantity, 0, 0) for side, price, quantity, _ in rows]


def _milliseconds(value: int | None) -> int:
    return value * 1_000_000 if value is not None and 0 <= value < 1 << 43 else 0


def _need(*values: Any) -> None:
    if any(value is None for value in values):
        raise Refused("a field is missing")


def binance(data: bytes) -> Message | str:
    """Spot and USD-M."""
    top = load(data)
    inner = get(top, "data")
    # the envelope's fields and the message's are one: none may stand in both
    body = top if inner is None else Pairs([pair for pair in top if pair[0] != "data"] + list(inner))
    stream = text(body, "stream")
    event, symbol, time = text(body, "e"), text(body, "s"), integer(body, "E")
    trade_time, last = integer(body, "T"), integer(body, "u")
    time_ns = _milliseconds(time if time is not None else trade_time)
    rows = []
    for key, side in (("bids", 1), ("b", 1), ("asks", 2), ("a", 2)):
        if isinstance(get(body, key), list):
            rows += rows_of(get(body, key), side)
    snapshot = integer(body, "lastUpdateId")
    partial = stream is not None and "@depth" in stream and stream.split("@depth")[1][:1].isdigit()
    if snapshot is not None or (event == "depthUpdate" and partial):
        known = symbol or (stream.split("@")[0].upper() if stream and "@" in stream else None)
        number = snapshot if snapshot is not None else last
        return Message("s", known, _plain(rows), time_ns, number or 0, (0, number or 0, 0))
    if event == "depthUpdate":
        first = integer(body, "U")
        _need(symbol, first, last, get(body, "b"), get(body, "a"))
        before = integer(body, "pu") or 0
        if first > last or not 0 <= before <= last:  # type: ignore[operator]
            raise Refused("ids")
        return Message("d", symbol, _plain(rows), time_ns, last or 0, (first or 0, last or 0, before))
    if event in ("trade", "aggTrade"):
        number = integer(body, "t" if event == "trade" else "a")
        price, quantity, maker = decimal(body, "p"), decimal(body, "q"), get(body, "m")
        _need(number, price, quantity, maker, symbol)
        if not isinstance(maker, bool):
            raise Refused("m")
        row = (2 if maker else 1, price, quantity, number, _milliseconds(trade_time))
        return Message("t", symbol, [row], time_ns, number or 0)  # type: ignore[list-item]
    if event in ("bookTicker", None):
        return _binance_ticker(body, symbol, time_ns, last or 0, event)
    return UNKNOWN


def _binance_ticker(body: Any, symbol: str | None, time_ns: int, last: int, event: str | None) -> Message | str:
    if symbol is None:
        return CONTROL if get(body, "id") is not None else UNKNOWN
    if get(body, "b") is None or get(body, "a") is None:
        if event is None:
            return UNKNOWN
        raise Refused("no best price")
    rows = [
        (side, decimal_of(get(body, low)), decimal(body, high) or Decimal(0), last, 0)
        for side, low, high in ((1, "b", "B"), (2, "a", "A"))
    ]
    return Message("k", symbol, rows, time_ns, last)


def coinbase(data: bytes) -> Message | str:
    """Exchange format."""
    top = load(data)
    event, symbol, sequence = text(top, "type"), text(top, "product_id"), integer(top, "sequence") or 0
    stamp = text(top, "time")
    time_ns = 0
    if stamp:
        try:
            whole = datetime.fromisoformat(stamp)
            delta = whole - datetime(1970, 1, 1, tzinfo=UTC)
            time_ns = (delta.days * 86400 + delta.seconds) * 10**9 + delta.microseconds * 1000
        except (ValueError, TypeError):
            time_ns = -1  # not compared
    if event == "l2update":
        _need(symbol, get(top, "changes"))
        return Message("d", symbol, _plain(rows_of(get(top, "changes"), 0, True)), time_ns, sequence)
    if event == "snapshot":
        _need(symbol, get(top, "bids"), get(top, "asks"))
        rows = {key: _plain(rows_of(get(top, key), side, True)) for key, side in (("bids", 1), ("asks", 2))}
        return Message("s", symbol, sum((rows[key] for key, _ in top if key in rows), []), time_ns, sequence)
    if event in ("match", "last_match"):
        price, quantity, number, side = (
            decimal(top, "price"),
            decimal(top, "size"),
            integer(top, "trade_id"),
            text(top, "side"),
        )
        _need(price, quantity, number, symbol)
        if side not in ("buy", "sell"):
            raise Refused("side")
        return Message("t", symbol, [(2 if side == "buy" else 1, price, quantity, number, time_ns)], time_ns, sequence)  # type: ignore[list-item]
    if event == "ticker":
        bid, ask = decimal(top, "best_bid"), decimal(top, "best_ask")
        _need(bid, ask, symbol)
        sizes = decimal(top, "best_bid_size") or Decimal(0), decimal(top, "best_ask_size") or Decimal(0)
        rows_ = [(1, bid, sizes[0], sequence, 0), (2, ask, sizes[1], sequence, 0)]
        return Message("k", symbol, rows_, time_ns, sequence)  # type: ignore[arg-type]
    return CONTROL if event in ("subscriptions", "heartbeat") else UNKNOWN


def okx(data: bytes) -> Message | str:
    """v5 public channels."""
    top = load(data)
    event, action, argument, elements = text(top, "event"), text(top, "action"), get(top, "arg"), get(top, "data")
    if event is not None:
        return CONTROL if event in ("subscribe", "unsubscribe") else UNKNOWN
    channel = text(argument, "channel") if argument is not None else None
    symbol = text(argument, "instId") if argument is not None else None
    if symbol is None:
        if channel is not None:
            raise Refused("no instrument")
        return UNKNOWN
    elements = elements if isinstance(elements, list) and not isinstance(elements, Pairs) else [elements]
    if channel is not None and channel.startswith("books"):
        (body,) = elements
        _need(get(body, "bids"), get(body, "asks"))
        if action not in (None, "update", "snapshot"):
            raise Refused("action")
        rows: list[Row] = []
        for key, value in body:
            if key in ("bids", "asks"):
                for side, price, quantity, rest in rows_of(value, 1 if key == "bids" else 2):
                    rows.append((side, price, quantity, int(decimal_of(rest[1])) if len(rest) > 1 else 0, 0))
        last, before = max(integer(body, "seqId") or 0, 0), max(integer(body, "prevSeqId") or 0, 0)
        kind = "d" if action == "update" else "s"
        ids = (0, last, before if kind == "d" else 0)
        checksum = integer(body, "checksum")
        message = Message(kind, symbol, rows, _milliseconds(integer(body, "ts")), last, ids)
        message.checksum = None if checksum is None else checksum & 0xFFFFFFFF
        return message
    if channel is not None and channel.startswith("trades"):
        trades = []
        for body in elements:
            price, quantity, side = decimal(body, "px"), decimal(body, "sz"), text(body, "side")
            _need(price, quantity)
            if side not in ("buy", "sell"):
                raise Refused("side")
            number, time = integer(body, "tradeId") or 0, _milliseconds(integer(body, "ts"))
            trades.append((1 if side == "buy" else 2, price, quantity, number, time))
        return Message("t", symbol, trades, trades[0][4])  # type: ignore[arg-type]
    if channel == "tickers":
        (body,) = elements
        pairs = [(1, decimal(body, "bidPx"), decimal(body, "bidSz")), (2, decimal(body, "askPx"), decimal(body, "askSz"))]
        _need(pairs[0][1], pairs[1][1])
        best = [(side, price, quantity or Decimal(0), 0, 0) for side, price, quantity in pairs]
        return Message("k", symbol, best, _milliseconds(integer(body, "ts")))  # type: ignore[arg-type]
    return UNKNOWN


def deribit(data: bytes) -> Message | str:
    """JSON-RPC subscriptions."""
    top = load(data)
    method, parameters = text(top, "method"), get(top, "params")
    if method != "subscription":
        return CONTROL if get(top, "id") is not None or method == "heartbeat" else UNKNOWN
    channel = text(parameters, "channel") or ""
    body = get(parameters, "data")
    if channel.startswith("trades."):
        trades, symbols = [], set()
        for trade in body:
            side, symbol = text(trade, "direction"), text(trade, "instrument_name")
            price, quantity = decimal(trade, "price"), decimal(trade, "amount")
            _need(price, quantity)
            if side not in ("buy", "sell"):
                raise Refused("side")
            symbols.add(symbol)
            number, time = integer(trade, "trade_seq") or 0, _milliseconds(integer(trade, "timestamp"))
            trades.append((1 if side == "buy" else 2, price, quantity, number, time))
        if len(symbols) != 1 or None in symbols:
            raise Refused("trades of one instrument")
        return Message("t", symbols.pop(), trades, trades[0][4])  # type: ignore[arg-type]
    symbol, time_ns = text(body, "instrument_name"), _milliseconds(integer(body, "timestamp"))
    if channel.startswith("book."):
        action, last, before = text(body, "type"), integer(body, "change_id"), integer(body, "prev_change_id")
        _need(symbol, last, get(body, "bids"), get(body, "asks"))
        whole = action == "snapshot" or (action is None and before is None)
        if not whole and (action != "change" or before is None):
            raise Refused("no change")
        sides = [(1 if key == "bids" else 2, value) for key, value in body if key in ("bids", "asks")]
        rows = [row for side, value in sides for row in _plain(rows_of(value, side, True))]
        ids = (0, last or 0, 0 if whole else before or 0)
        return Message("s" if whole else "d", symbol, rows, time_ns, last or 0, ids)
    if channel.startswith(("ticker.", "quote.")):
        _need(symbol)
        best = [
            (side, decimal(body, f"best_{name}_price"), decimal(body, f"best_{name}_amount") or Decimal(0), 0, 0)
            for side, name in ((1, "bid"), (2, "ask"))
        ]
        return Message("k", symbol, [row for row in best if row[1] is not None], time_ns)  # type: ignore[misc]
    return UNKNOWN


def kraken(data: bytes) -> Message | str:
    """WebSocket v1."""
    top = load(data)
    if isinstance(top, Pairs):
        event = text(top, "event")
        controls = ("heartbeat", "systemStatus", "subscriptionStatus", "pong")
        return CONTROL if event in controls else UNKNOWN
    if not isinstance(top, list) or not 4 <= len(top) <= 5:
        raise Refused("elements")
    *_, channel, symbol = top
    if not all(isinstance(word, str) and not isinstance(word, Number) for word in (channel, symbol)):
        raise Refused("names")
    if not channel.startswith("book-"):
        return _kraken_rest(top[1], channel, symbol) if len(top) == 4 else UNKNOWN
    rows, checksum, kinds = [], None, set()
    for payload in top[1:-2]:
        for key, value in payload:
            if key in ("as", "bs", "a", "b"):
                kinds.add(len(key))
                for side, price, quantity, rest in rows_of(value, 2 if key[0] == "a" else 1):
                    rows.append((side, price, quantity, 0, int(decimal_of(rest[0]).scaleb(9)) if rest else 0))
            elif key == "c":
                checksum = int(decimal_of(value))
    if len(kinds) != 1 or not channel[5:].isdigit():
        raise Refused("book")
    kind = "s" if kinds == {2} else "d"
    times = [row[4] for row in rows]
    message = Message(kind, symbol, rows, max(times, default=0), depth=int(channel[5:]))
    message.checksum = checksum
    return message


def _kraken_rest(payload: Any, channel: str, symbol: str) -> Message | str:
    if channel == "trade":
        rows = [
            ({"b": 1, "s": 2}[row[3]], decimal_of(row[0]), decimal_of(row[1]), 0, int(decimal_of(row[2]).scaleb(9)))
            for row in payload
        ]
        return Message("t", symbol, rows, max(row[4] for row in rows))
    if channel == "spread":
        bid, ask, time, bid_quantity, ask_quantity = (decimal_of(value) for value in payload)
        return Message("k", symbol, [(1, bid, bid_quantity, 0, 0), (2, ask, ask_quantity, 0, 0)], int(time.scaleb(9)))
    if channel == "ticker":
        best = [(1, get(payload, "b")), (2, get(payload, "a"))]
        return Message("k", symbol, [(side, decimal_of(row[0]), decimal_of(row[2]), 0, 0) for side, row in best])
    return UNKNOWN


TWINS = {"binance": binance, "coinbase": coinbase, "okx": okx, "deribit": deribit, "kraken": kraken}
