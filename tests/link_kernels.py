"""What tests of the link's records call in core: the tap, the scan and the receiving side, each behind one call."""

from numba import njit

from gateway import kernel_cache
from gateway.core.book import begin_session
from gateway.core.book_link import take_link
from gateway.core.link_scan import scan_turn
from gateway.core.link_tap import apply_and_tell, break_order, tell_news, tell_run

kernel_cache.prepare()


@njit(cache=True)
def apply_told(tap, store, event, counters, quiet):
    """One event, applied and told of; 1: a top changed."""
    return apply_and_tell(tap, store, event, counters, quiet)


@njit(cache=True)
def scan_part(tap, worked):
    """A turn of the scan: rows looked at."""
    return scan_turn(tap, worked)


@njit(cache=True)
def begin_run(tap, store, first):
    """A run of the channel begins."""
    begin_session(store, first)
    tell_run(tap, first)


@njit(cache=True)
def say_news(tap, event):
    """What was told quietly is news."""
    tell_news(tap, event)


@njit(cache=True)
def break_records(tap):
    """The books changed as no record says."""
    break_order(tap)


@njit(cache=True)
def take_records(core):
    """A turn of the receiving side: records taken."""
    return take_link(core)
