"""A strategy in another process: it reads the instance, and its orders go by external_core to the gate ⑦.

    trader = Trader("gateway")
    trader.send(instrument, "buy", quantity=100, price=1_000_200, signal_id=7)
    trader.instance.rows("books")[instrument]["bid_price"]

Hard rule: everything but its own ring is mapped read-only; a write to a limit or a position ends this process, not the
appliance.
"""

from pathlib import Path

import numpy as np

from gateway import clock, layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import FOLDER, Instance, handle_address

RING = "external_core"
KINDS = {"new": "INTENT_NEW", "cancel": "INTENT_CANCEL", "replace": "INTENT_REPLACE", "mass_cancel": "INTENT_MASS_CANCEL"}
SIDES = {"buy": "SIDE_BUY", "sell": "SIDE_SELL", "": "SIDE_NONE"}
LIVES = {"ioc": "TIME_IOC", "fok": "TIME_FOK", "day": "TIME_DAY", "gtc": "TIME_GTC"}
POST_ONLY, REDUCE_ONLY = layout.value("INTENT_POST_ONLY"), layout.value("INTENT_REDUCE_ONLY")


class Trader:
    """The one producer of external_core. Not for two processes at a time."""

    def __init__(self, name: str, parent: Path = FOLDER):
        self.instance = Instance.attach(name, parent, writable=(RING,))
        self._writer = self.instance.writer(RING)
        self._slot = np.zeros(1, dtype=layout.dtype("intent_slot"))
        self._intent = np.zeros(1, dtype=layout.dtype("intent"))

    def send(
        self,
        instrument: int,
        side: str = "",
        *,
        quantity: int = 0,
        price: int = 0,
        kind: str = "new",
        life: str = "ioc",
        reference: int = 0,
        signal_id: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> bool:
        """One intent, in the instrument's own units; False while the ring is full.

        `reference` is the order meant by "cancel" and "replace". What became of it stands in core_journal and in the rows
        of region orders, by `signal_id`. Two equal orders of one signal within risk.dup_ms are one too many (DUP).
        """
        intent = self._intent
        intent["kind"], intent["side"] = layout.value(KINDS[kind]), layout.value(SIDES[side])
        intent["time_in_force"], intent["instrument"] = layout.value(LIVES[life]), instrument
        intent["flags"] = POST_ONLY * post_only | REDUCE_ONLY * reduce_only
        intent["price"], intent["quantity"] = price, quantity
        intent["order_reference"], intent["signal_id"] = reference, signal_id
        self._slot["size"] = layout.size("intent")
        self._slot["time_ns"] = clock.now_ns(self.instance.clock_address)
        handle, slot, record = handle_address(self._writer), address_of(self._slot), address_of(intent)
        return bool(ring.put(handle, slot, layout.size("intent_slot"), record, layout.size("intent")))
