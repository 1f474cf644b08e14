"""When the flow may act: an intensity per second with bursts, paid for by the clock that the venue is given.

Beside the corridor, inside the venue. Time is cut into intervals of 10 ms; one in ten, drawn by the seed, runs at 5.5
times the intensity, the others at half of it, so that the mean is exact over every 100 ms.
Hard rule: no clock is read here but the one the venue was given.
"""

import numpy as np

from gateway.core.kernel import inner
from gateway.core.memory import load_i64, shift_right, store_i64, ticks
from gateway.layout import offsets
from gateway.venues.simulator.draws import mix
from gateway.venues.simulator.frames import COUNTERS, VENUE

CLOCK = offsets("clock_calibration")
INTERVAL_NS = 10_000_000
INTERVALS = 10  # of which one is a burst
BURST_TENTHS, CALM_TENTHS = 55, 5
MESSAGE_COST = 10_000_000_000  # one message: a second's nanoseconds, in tenths
CREDIT_MAX = 4096 * MESSAGE_COST  # what a stopped process may catch up


@inner
def _ticks_to_ns(calibration, now):
    """struct clock_calibration in 64-bit steps; equal to native/clock.h for every tick after the base."""
    passed = now - load_i64(calibration + CLOCK.ticks_base)
    multiplier = load_i64(calibration + CLOCK.multiplier)
    low = np.uint64(passed & 0xFFFFFFFF) * np.uint64(multiplier)  # may need all 64 bits
    span = (passed >> 32) * multiplier + shift_right(np.int64(low), 32)
    return load_i64(calibration + CLOCK.ns_base) + span


@inner
def read_clock(venue):
    """Now, by the simulated clock when there is one, else by the instance's calibration."""
    word = load_i64(venue + VENUE.clock_word)
    if word != 0:
        return load_i64(word)
    return _ticks_to_ns(load_i64(venue + VENUE.calibration), ticks())


@inner
def _intensity(venue, now_ns):
    """Tenths of the configured rate that hold in the interval of `now_ns`."""
    interval = (now_ns - load_i64(venue + VENUE.open_ns)) // INTERVAL_NS
    block = interval // INTERVALS
    burst = shift_right(mix(load_i64(venue + VENUE.seed) ^ (block * INTERVALS)), 33) % INTERVALS
    return BURST_TENTHS if interval % INTERVALS == burst else CALM_TENTHS


@inner
def earn(venue, now_ns):
    """Credits the time since the last call, at most one interval of it at one intensity."""
    passed = min(now_ns - load_i64(venue + VENUE.flow_ns), INTERVAL_NS)
    store_i64(venue + VENUE.flow_ns, now_ns)
    if passed <= 0:
        return
    credit = load_i64(venue + VENUE.credit) + passed * load_i64(venue + VENUE.rate) * _intensity(venue, now_ns)
    store_i64(venue + VENUE.credit, min(credit, CREDIT_MAX))


@inner
def may_act(venue):
    """Whether the flow has credit left; with rate 0 it always has."""
    limit = load_i64(venue + VENUE.message_limit)
    if limit != 0 and load_i64(load_i64(venue + VENUE.counters) + COUNTERS.feed_messages) >= limit:
        return False
    return load_i64(venue + VENUE.rate) == 0 or load_i64(venue + VENUE.credit) >= MESSAGE_COST


@inner
def pay(venue, messages):
    """Charges messages sent."""
    store_i64(venue + VENUE.credit, load_i64(venue + VENUE.credit) - messages * MESSAGE_COST)
