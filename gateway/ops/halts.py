"""What stands halted ⑦, and the words of the gate that say so: account, strategies, instruments.

    Breach ─► add ─► standing ─► apply ─┬─► gate_account.halted, gate_strategy.halted and size_shift, gate_row.halted
                                        └─► region post_trade: the symbols, for instruments that core lists later

Hard rule: what stands is written to the gate again at every turn, so that no other hand can lift it for longer than that.
"""

import contextlib
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.instance import Instance
from gateway.ops.breach import ACCOUNT, INSTRUMENT, STRATEGY, Breach

BITS = {name: 1 << number for number, name in layout.names("post_trade_control", "POST_TRADE_").items()}
SIZE = "SIZE"
HALVED = 1  # size_shift of a strategy that SIZE found
SYMBOL_BYTES = 8
CAUSED = frozenset({"KEYS"})  # stand as long as their cause, whatever a human says
Standing = dict[str, dict[str, dict[str, Any]]]  # what → control → {"at": ns, "why": text}


class Halts:
    """Everything that is halted, by what `gateway resume` calls it."""

    def __init__(self, instance: Instance, names: dict[int, str]):
        """`names` of the strategies by row."""
        self.standing: Standing = {}
        self.names = names
        self._gate = instance.regions["gate"].view("gate_account")[0]
        self._rows = instance.rows("gate")
        self._books = instance.rows("books")
        self._seen = instance.regions["post_trade"].view("post_trade_account")[0]
        self._symbols = instance.rows("post_trade")
        self._places: dict[str, int] = {}  # row of a symbol, once the venue has defined it

    def add(self, breach: Breach, now_ns: int) -> bool:
        """One more; false when it stood already."""
        standing = self.standing.setdefault(breach.what, {})
        if breach.control in standing:
            return False
        standing[breach.control] = {"at": now_ns, "why": breach.why}
        return True

    def lift(self, what: str, control: str | None = None) -> list[str]:
        """Takes away one control's halt, or all that a human may; returns the controls."""
        standing = self.standing.get(what, {})
        gone = [name for name in standing if name == control or (control is None and name not in CAUSED)]
        for name in gone:
            del standing[name]
        if what in self.standing and not standing:
            del self.standing[what]
        return gone

    def bits(self, what: str) -> int:
        """The controls that halt something, as bits of enum post_trade_control."""
        return sum(BITS[control] for control in self.standing.get(what, {}))

    def apply(self, search: bool = True) -> None:
        """Writes all of it to the gate; `search` says whether to look for the rows of symbols that had none yet."""
        symbols = [what.partition("=")[2] for what in self.standing if what.startswith(f"{INSTRUMENT}=")]
        too_many = BITS["GAP"] if len(symbols) > limits.HALTED_SYMBOLS_MAX else 0
        self._gate["halted"] = self._seen["halted"] = self.bits(ACCOUNT) | too_many
        strategies = self._gate["strategies"]
        for row, name in self.names.items():
            bits = self.bits(f"{STRATEGY}={name}")
            strategies["halted"][row] = bits & ~BITS[SIZE]
            strategies["size_shift"][row] = HALVED if bits & BITS[SIZE] else 0
        self._apply_instruments(symbols[: limits.HALTED_SYMBOLS_MAX], search)

    def _apply_instruments(self, symbols: list[str], search: bool) -> None:
        for index, symbol in enumerate(symbols):
            self._symbols["symbol"][index] = word_of(symbol)
        self._symbols["symbol"][len(symbols) : int(self._seen["symbols"])] = 0
        self._seen["symbols"] = len(symbols)
        for symbol in {*symbols, *self._places}:
            place = self._place(symbol, search)
            if place is not None:
                self._rows["halted"][place] = self.bits(f"{INSTRUMENT}={symbol}")
        self._places = {symbol: self._places[symbol] for symbol in symbols if symbol in self._places}

    def _place(self, symbol: str, search: bool) -> int | None:
        if search and symbol not in self._places:
            found = np.flatnonzero(self._books["symbol"] == symbol.encode().ljust(SYMBOL_BYTES))
            if len(found):
                self._places[symbol] = int(found[0])
        return self._places.get(symbol)

    def restore(self, standing: Standing) -> None:
        """What stood in an earlier run. Raises ValueError for what no run has written."""
        with contextlib.suppress(TypeError, AttributeError, KeyError):
            for what, controls in standing.items():
                scope, _, name = what.partition("=")
                known = scope == ACCOUNT or (scope in (STRATEGY, INSTRUMENT) and name)
                if not known or not controls or not all(control in BITS for control in controls):
                    raise ValueError(f"{what} halted by {controls}")
                for row in controls.values():
                    _ = int(row["at"]), str(row["why"])
            self.standing = {what: dict(controls) for what, controls in standing.items()}
            return
        raise ValueError("halts of an unknown form")


def word_of(symbol: str) -> int:
    """A symbol as the word of struct halted_symbol."""
    return int.from_bytes(symbol.encode("ascii").ljust(SYMBOL_BYTES)[:SYMBOL_BYTES], "little")
