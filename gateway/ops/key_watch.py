"""KEYS ⑦: whether the regional link holds the keys that new risk needs.

    link: keyring ─► region link, `keys_until_ns` ─► control, every turn ─► halt of the account while they have run out

The word is a time, so it needs nobody to run out: a link that hangs, or is dead, is believed for as long as the keys that it
held last would have lasted. Hard rule: what is not known is no key: before the link has said anything, nothing new leaves.
"""

from typing import Any

from gateway import limits
from gateway.instance import Instance

SECOND_NS = 1_000_000_000


class KeyWatch:
    """What the link says of its keys."""

    def __init__(self, instance: Instance):
        self._state: Any = instance.regions["link"].view("link_state")[0]

    def missing(self, now_ns: int) -> str:
        """Why new risk has to wait, in one line; empty while the keys hold."""
        until_ns = int(self._state["keys_until_ns"])
        if now_ns < until_ns <= now_ns + limits.LINK_KEYS_NS:
            return ""
        if until_ns == 0:
            return "the link has not held a key yet"
        if until_ns > now_ns:
            return "the link names a time that no key lasts to"
        return f"the link's keys ran out {(now_ns - until_ns) // SECOND_NS} s ago"
