"""The controls after the trade ⑦, in control: they watch what core holds and what the journal says, and halt.

    core's memory ─┬─► equity, strategies, gaps, unknown orders ─┐
    journal ───────┴─► slippage                                  ├─► Breach ─► halt in the gate ─► file, synced ─► a line
    reconciliation ──► balance, orders ──────────────────────────┤                                  ▲
    region link ─────► keys ─────────────────────────────────────┘                                  │
    gateway resume ─► request, seen at the next turn ───────────────────────────────────────────────┘

Hard rule: the gate denies first, then the file is written and synced, and only then anybody is told. What cannot be written
stands in memory, halts the account besides, and is said.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gateway import clock, layout
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops import disabled, kill, post_trade_record, resumption
from gateway.ops.account_view import AccountView
from gateway.ops.balance_watch import BalanceWatch, Comparison
from gateway.ops.breach import ACCOUNT, STRATEGY, Breach
from gateway.ops.equity_watch import EquityWatch
from gateway.ops.gap_watch import GapWatch
from gateway.ops.halts import Halts
from gateway.ops.key_watch import KeyWatch
from gateway.ops.limit_block import traders
from gateway.ops.slippage_watch import SlippageWatch
from gateway.ops.strategy_watch import StrategyWatch
from gateway.ops.unknown_watch import UnknownWatch

LOOK_NS = 100_000_000  # between two looks at what is not worth a look at every turn
FIND_NS = 1_000_000_000  # between two searches for instruments, and two writes of the windows
NUMBERS = {name: number for number, name in layout.names("post_trade_control", "POST_TRADE_").items()}
RECORD_FAULTS = (ValueError, KeyError, TypeError, AttributeError)


class PostTrade:
    """All of them over one instance. `tick` is called by control at every turn, `observe` by its journal."""

    def __init__(
        self,
        instance: Instance,
        configuration: Configuration,
        comparison: Comparison | None,
        tell: Callable[[str], None],
    ):
        self.configuration, self.settings = configuration, configuration.post_trade
        self.state = configuration.state_folder
        self.names = {row: trader.name for row, trader in traders(configuration).items()}
        self.view, self.halts = AccountView(instance), Halts(instance, self.names)
        self.equity = EquityWatch(self.settings)
        self.strategies = StrategyWatch(self.settings, self.names.values())
        self.slippage = SlippageWatch(self.settings, self.names)
        self.gaps, self.unknown = GapWatch(self.settings), UnknownWatch(self.settings)
        self.balance = BalanceWatch(self.settings, comparison) if comparison is not None else None
        self.keys = KeyWatch(instance) if configuration.link.enabled else None
        self._seen: Any = instance.regions["post_trade"].view("post_trade_account")[0]
        self._instance, self._tell = instance, tell
        self._now_ns = lambda: clock.now_ns(instance.clock_address)
        self._carried = 0  # profit of earlier runs of the day that no replay brings back
        self._heard = configuration.orders.carriage == "udp"
        self._looked_ns = self._found_ns = 0
        self._waiting: list[Breach] = []  # what the journal showed since the last turn
        self._repeated = {row for row, repeated in enumerate(self.view.repeated()) if repeated}  # in earlier runs
        self._unwritten = False
        self._restore()

    # ---- every turn ----------------------------------------------------------------------------------------------

    def observe(self, records: np.ndarray) -> None:
        """A batch of the journal, once the file has it."""
        self._waiting += self.slippage.look(records)

    def tick(self, now_ns: int) -> None:
        """One turn: looks, halts, writes, tells."""
        looking = now_ns - self._looked_ns >= LOOK_NS or now_ns < self._looked_ns
        if looking:
            self._looked_ns = now_ns
            self._resume_asked()
        found, self._waiting = self._waiting, []
        self._heard = self._heard or self.view.session_heard()
        if self._heard and self.view.capital() > 0:
            found += self._look_at_equity(now_ns)
        if self.balance is not None:
            found += self.balance.look(now_ns, self.view.session_heard())
        found += self._look_at_keys(now_ns)
        if looking:
            found += self._look_around(now_ns)
        fresh = [breach for breach in found if breach.control not in self.settings.off and self.halts.add(breach, now_ns)]
        due = now_ns - self._found_ns >= FIND_NS or now_ns < self._found_ns
        self.halts.apply(search=due or bool(fresh))
        if any(breach.control in self.settings.kill for breach in fresh):
            kill.latch(self._instance, "KILL_POST_TRADE")
        self._publish(now_ns)
        if due:
            self._found_ns = now_ns
            self.view.find_instruments()
        if fresh or due or self._unwritten:
            self._write(now_ns)
        for breach in fresh:
            self._count(breach.control)
            self._tell(f"{breach.control} fired, {breach.what} is halted: {breach.why}; {_mend(breach)}")

    def _look_at_equity(self, now_ns: int) -> list[Breach]:
        equity = self.view.capital() + self.view.profit() + self._carried
        if self.equity.turn_day(now_ns, equity) and self.halts.lift(ACCOUNT, "DAILY"):
            self._tell("a new day began, the halt of DAILY is over")
        return self.equity.look(now_ns, equity)

    def _look_at_keys(self, now_ns: int) -> list[Breach]:
        """A halt that begins and ends with its cause: nothing of ours went wrong that a human had to judge."""
        missing = self.keys.missing(now_ns) if self.keys is not None else ""
        if not missing and self.halts.lift(ACCOUNT, "KEYS"):
            self._tell("the link holds its keys, the halt of KEYS is over")
        return [Breach("KEYS", ACCOUNT, "", missing)] if missing else []

    def _look_around(self, now_ns: int) -> list[Breach]:
        found = self.gaps.look(now_ns, self.view.books, self.view.permitted) + self.unknown.look(now_ns, self.view.unknown())
        results = self.view.results()
        if results is not None and self._heard:
            named = {name: results[row] for row, name in self.names.items()}
            found += self.strategies.look(now_ns, named, self.equity.equity)
        for row, repeated in enumerate(self.view.repeated()):
            if repeated and row not in self._repeated:
                self._repeated.add(row)
                self._count("REPEAT")  # core has halted it, disabled.py writes it down and tells
        return found

    def _count(self, control: str) -> None:
        self._seen["fired"][NUMBERS[control]] += 1

    def _publish(self, now_ns: int) -> None:
        seen, equity = self._seen, self.equity
        seen["equity"], seen["equity_high"], seen["day_base"] = equity.equity, equity.equity_high, equity.day_base
        seen["drawdown_max"], seen["drawdown_max_ppm"] = equity.drawdown_max, equity.drawdown_max_ppm
        seen["looked_ns"], seen["comparisons"] = now_ns, self.balance.comparisons if self.balance else 0

    # ---- a human's decision --------------------------------------------------------------------------------------

    def _resume_asked(self) -> None:
        for path, what in resumption.waiting(self.state):
            gone = self._resume(what)
            self.halts.apply()
            if not self._write(self._looked_ns):
                return
            path.unlink(missing_ok=True)
            self._tell(f"{what} is resumed: {', '.join(gone)}" if gone else f"{what} was not halted")

    def _resume(self, what: str) -> list[str]:
        gone = self.halts.lift(what)
        scope, _, name = what.partition("=")
        if scope == ACCOUNT:
            self.equity.resume()
            if self.balance is not None:
                self.balance.resume()
        elif scope == STRATEGY:
            self.strategies.resume(name)
            gone += ["REPEAT, from the next start on"] * disabled.enable(self.state, name)
        return gone

    # ---- over restarts -------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Goes on with what the last run wrote, and halts before a core starts; a damaged file halts the account."""
        try:
            record = post_trade_record.read(self.state)
            if record is not None:
                self._take(record)
        except (post_trade_record.DamagedRecord, *RECORD_FAULTS) as problem:
            self._distrust(f"the file of halts cannot be believed ({problem})")
        self._resume_asked()
        for breach in self._look_at_keys(self._now_ns()):
            if self.halts.add(breach, self._now_ns()):
                self._tell(f"KEYS: account is halted at first: {breach.why}; {_mend(breach)}")
        self.halts.apply()
        self._write(0)

    def _take(self, record: dict[str, Any]) -> None:
        self.halts.restore(record["halts"])
        self.equity.restore(record["equity"])
        self.strategies.restore(record["strategies"])
        same_day = record["equity"]["day"] == self.equity.day_of(self._now_ns())
        if self._heard and same_day and record["capital"] == self.view.capital():
            self._carried = int(record["carried"]) + int(record["profit"])

    def _distrust(self, why: str) -> None:
        try:
            aside = post_trade_record.keep_aside(self.state)
            why += f"; it is kept as {aside.name}"
        except OSError as problem:
            why += f"; it could not be kept aside ({problem.strerror})"
        self.halts.add(Breach("RECORD", ACCOUNT, "", why), 0)
        self._count("RECORD")
        self._tell(f"RECORD fired, account is halted: {why}; {_mend(Breach('RECORD', ACCOUNT, '', ''))}")

    def _write(self, now_ns: int) -> bool:
        """The file; a failure halts the account, is said once, and is tried again at every turn."""
        try:
            post_trade_record.write(self.state, self._record())
        except OSError as problem:
            breach = Breach("RECORD", ACCOUNT, "", f"the file of halts cannot be written ({problem.strerror})")
            if self.halts.add(breach, now_ns):
                self._count("RECORD")
                self._tell(f"RECORD fired, account is halted: {breach.why}; what is halted is lost with this process")
            self.halts.apply()
            self._unwritten = True
            return False
        self._unwritten = False
        return True

    def _record(self) -> dict[str, Any]:
        return {
            "halts": self.halts.standing,
            "equity": self.equity.state(),
            "strategies": self.strategies.state(),
            "capital": self.view.capital(),
            "profit": self.view.profit(),
            "carried": self._carried,
        }

    def close(self) -> None:
        """Writes the windows as they are at the end."""
        self._write(self._looked_ns)


def _mend(breach: Breach) -> str:
    if breach.control == "KEYS":
        return "it ends by itself once the link holds keys: gateway link CONFIG --status"
    if breach.control == "DAILY":
        return "it ends with the day, or: gateway resume CONFIG account --code DIGITS"
    return f"look why, then: gateway resume CONFIG {breach.what} --code DIGITS"
