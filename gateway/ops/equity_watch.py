"""DRAWDOWN and DAILY ⑦: what the account is worth against its highest of a rolling window, and against the day's beginning.

Hard rule: equity that is not a plausible number (zero, negative, beyond all bounds) is a loss of everything.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.control_sections import PostTrade
from gateway.ops.breach import ACCOUNT, PPM, Breach, money, reaches
from gateway.ops.rolling_high import RollingHigh

SECOND_NS = 1_000_000_000
EQUITY_BOUND = 1 << 62


class EquityWatch:
    """High-water marks of one account; `drawdown_max` and `drawdown_max_ppm` are the worst of this run."""

    def __init__(self, settings: PostTrade):
        self.settings = settings
        self.high = RollingHigh(settings.drawdown_s * SECOND_NS)
        self.day, self.day_base = "", 0
        self.equity = self.equity_high = self.drawdown_max = self.drawdown_max_ppm = 0
        self._zone = ZoneInfo(settings.zone)

    def look(self, now_ns: int, equity: int) -> list[Breach]:
        """One sample; what fires with it, again with every sample while it holds."""
        self.equity = equity
        if not 0 < equity < EQUITY_BOUND:
            why = f"equity is {equity} units, which no account can trade with"
            return [Breach(control, ACCOUNT, "", why) for control in ("DRAWDOWN", "DAILY")]
        self.equity_high = self.high.push(now_ns, equity)
        fall = self.equity_high - equity
        self.drawdown_max = max(self.drawdown_max, fall)
        self.drawdown_max_ppm = max(self.drawdown_max_ppm, fall * PPM // self.equity_high)
        found = []
        if reaches(fall, self.equity_high, self.settings.drawdown_ppm):
            span = f"{self.settings.drawdown_s} s"
            why = f"equity {money(equity)} is {money(fall)} below its highest of {span}, {money(self.equity_high)}"
            found.append(Breach("DRAWDOWN", ACCOUNT, "", why))
        if reaches(self.day_base - equity, self.day_base, self.settings.daily_ppm):
            why = f"equity {money(equity)} is {money(self.day_base - equity)} below that of the day's beginning"
            found.append(Breach("DAILY", ACCOUNT, "", why))
        return found

    def turn_day(self, now_ns: int, equity: int) -> bool:
        """Begins the zone's day that `now_ns` lies in, unless it has begun; true when there was an earlier one."""
        day = self.day_of(now_ns)
        if day <= self.day or not 0 < equity < EQUITY_BOUND:
            return False
        later = bool(self.day)
        self.day, self.day_base = day, equity
        return later

    def day_of(self, now_ns: int) -> str:
        """The zone's date."""
        return datetime.fromtimestamp(now_ns // SECOND_NS, UTC).astimezone(self._zone).date().isoformat()

    def resume(self) -> None:
        """A human said that trading goes on: falls are measured from here."""
        self.high.clear()
        self.day_base = max(self.equity, 0)

    def state(self) -> dict[str, Any]:
        """What outlives the process."""
        return {"high": self.high.rows(), "day": self.day, "day_base": self.day_base}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on with the marks of an earlier run. Raises ValueError, KeyError or TypeError."""
        self.high.restore(state["high"])
        self.day, self.day_base = str(state["day"]), int(state["day_base"])
