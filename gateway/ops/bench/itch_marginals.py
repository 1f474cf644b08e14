"""What a stretch of ITCH 5.0 looks like, measured from its event rows: mix, symbols, lifetimes, prices, bursts.

A synthetic day is no recorded one. Hard rule: what a result says of its input is measured from it and not taken from
the generator's settings.
"""

from typing import Any

import numpy as np

from gateway.layout import value
from gateway.ops.bench.itch_stream import Stream

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
SLOPE_RANKS = (3, 300)  # symbols between which the slope of Zipf's law is fitted
WINDOW_NS = 10_000_000
ONE_DOLLAR, FIVE_CENTS = 10_000, 500


def marginals(stream: Stream) -> dict[str, Any]:
    """Figures for the settings of a result; times in seconds of the day."""
    events = stream.events
    times = events["time_venue_ns"]
    counts = np.unique(events["time_receive_ns"], return_counts=True)[1]
    arrivals = times[np.cumsum(counts) - counts]
    return {
        "seconds": round(float(times[-1] - times[0]) / 1e9, 3),
        "mix_percent": {letter: round(100 * count / len(events), 2) for letter, count in stream.messages_by_type.items()},
        "messages_per_packet_mean": round(len(events) / len(counts), 2),
        "messages_per_packet_quantiles": _quantiles(counts),
        **_symbols(events),
        **_lifetimes(events),
        **_prices(events),
        **_bursts(arrivals),
    }


def _quantiles(values: np.ndarray, digits: int = 1) -> dict[str, float]:
    if len(values) == 0:
        return {}
    return {f"{share:.0%}": round(float(np.quantile(values, share)), digits) for share in QUANTILES}


def _symbols(events: np.ndarray) -> dict[str, Any]:
    """The busiest symbol's share of messages, and the exponent of Zipf's law fitted over ranks."""
    counts = np.sort(np.unique(events["instrument"], return_counts=True)[1])[::-1]
    first, last = SLOPE_RANKS[0], min(SLOPE_RANKS[1], len(counts))
    ranks = np.arange(first, last + 1)
    slope = np.polyfit(np.log(ranks), np.log(counts[first - 1 : last]), 1)[0] if last > first + 1 else 0.0
    return {
        "symbols": len(counts),
        "busiest_symbol_percent": round(100 * float(counts[0]) / len(events), 2),
        "zipf_exponent": round(-float(slope), 3),
    }


def _lifetimes(events: np.ndarray) -> dict[str, Any]:
    """Messages and milliseconds from an order's add to its delete or replacement, of orders that have both here."""
    kinds, place = events["kind"], np.arange(len(events))
    added = (kinds == value("EVENT_ADD")) | (kinds == value("EVENT_REPLACE"))
    gone = (kinds == value("EVENT_DELETE")) | (kinds == value("EVENT_REPLACE"))
    replaced = kinds[added] == value("EVENT_REPLACE")
    born = np.where(replaced, events["other_id"][added], events["order_id"][added])
    _, first, last = np.intersect1d(born, events["order_id"][gone], assume_unique=True, return_indices=True)
    begin, end = place[added][first], place[gone][last]
    milliseconds = (events["time_venue_ns"][end] - events["time_venue_ns"][begin]) / 1e6
    return {
        "lifetime_messages_quantiles": _quantiles(end - begin),
        "lifetime_ms_quantiles": _quantiles(milliseconds, 3),
        "orders_outliving_percent": round(100 * (1 - len(begin) / max(len(born), 1)), 1),
    }


def _prices(events: np.ndarray) -> dict[str, Any]:
    """How much adds crowd on few prices: the share on full five cents, and of the busiest tenth of (symbol, price)."""
    adds = events[(events["kind"] == value("EVENT_ADD")) & (events["price"] >= ONE_DOLLAR)]
    if len(adds) == 0:
        return {}
    levels = np.unique(adds["price"].astype(np.int64) << 16 | adds["instrument"], return_counts=True)[1]
    busiest = np.sort(levels)[-max(len(levels) // 10, 1) :]
    return {
        "adds_on_five_cents_percent": round(100 * float((adds["price"] % FIVE_CENTS == 0).mean()), 1),
        "adds_on_busiest_tenth_of_prices_percent": round(100 * float(busiest.sum()) / len(adds), 1),
    }


def _bursts(arrivals: np.ndarray) -> dict[str, Any]:
    """The spread of gaps between packets as (deviation - mean) / (deviation + mean), 0 for a Poisson process (Goh and
    Barabási, 2008), and the variance of packets in a window over their mean, 1 for it."""
    gaps = np.diff(arrivals)
    if len(gaps) < 2:
        return {}
    mean, deviation = float(gaps.mean()), float(gaps.std())
    windows = np.bincount((arrivals - arrivals[0]) // WINDOW_NS)[:-1]
    dispersion = float(windows.var() / windows.mean()) if len(windows) > 1 else 0.0
    return {
        "burst_index": round((deviation - mean) / (deviation + mean), 3),
        "packets_in_10_ms_variance_over_mean": round(dispersion, 2),
    }
