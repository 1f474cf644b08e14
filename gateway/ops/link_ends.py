"""Core's two ends of the regional link: what it tells, and what it mirrors. Beside appliance.py.

    [link] enabled = true   ─► struct link_tap: books' changes into core_link, scans where the process link asks
    [feed] name = "link"    ─► struct link_mirror: the books of another region, out of link_core

Hard rule: nothing here runs while frames flow; without either, core holds two zeros and tests them.
"""

from typing import Any

from gateway import layout, limits
from gateway.config import Configuration
from gateway.core.book_link_scan import make_mirror
from gateway.core.link_tap import make_tap
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.venues.feed import LINK_FEED

WANTED = layout.offsets("link_state").snapshot_wanted


def attach_link(core: Any, instance: Instance, configuration: Configuration) -> list[Any]:
    """Fills the link's part of a struct core whose store and counters stand; returns what must be kept alive."""
    core.link = instance.reader("link_core")[0]
    return [*_make_tap(core, instance, configuration), *_make_mirror(core, instance, configuration)]


def _make_tap(core: Any, instance: Instance, configuration: Configuration) -> list[Any]:
    if not configuration.link.enabled:
        return []
    instance.populate("core_link")
    tap, keep = make_tap(
        handle_address(instance.writer("core_link")),
        wanted=instance.address("link") + WANTED,
        store=int(core.store),
        instruments=limits.INSTRUMENTS_MAX,
        now=handle_address(core) + layout.offsets("core").now_ns,
        listings=instance.body("instruments"),
    )
    core.tap = address_of(tap)
    return [tap, *keep]


def _make_mirror(core: Any, instance: Instance, configuration: Configuration) -> list[Any]:
    if configuration.feed.name != LINK_FEED or configuration.feed.definition:
        return []
    instance.populate("link_core")
    mirror, keep = make_mirror(
        store=int(core.store),
        instruments=limits.INSTRUMENTS_MAX,
        listings=instance.body("instruments"),
        counters=int(core.counters),
    )
    core.mirror = address_of(mirror)
    return [mirror, *keep]
