"""From the configuration to the words the gate ⑦ compares with: what control writes into region gate.

    Configuration ─┬─► write_limits        account, rates, groups, strategies        (control; whole, versioned)
                   └─► instrument_limits   what admission gives an instrument        (core, when the venue defines it)

Hard rule: limits_version is odd while anything is being written, and the gate denies as long. An unset limit stays 0,
which denies.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np

from gateway import layout
from gateway.config import Configuration
from gateway.core.limit_units import ALWAYS_NS, fraction, money, rate_words, share
from gateway.core.memory import FRACTION_ONE, SCALED_MAX
from gateway.instance import Instance
from gateway.risk_sections import DAYS, Hours, Trader
from gateway.sections import PRICE_UNITS

EPOCH_SINGLE_NODE = 1
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
DAYS_AHEAD = 8  # a week, and the day before it, whose close may lie in it
SIDES = {"both": 0b11, "buy": 0b01, "sell": 0b10}
NEVER_HEARD = 2**63 - 1  # no connection has this number
STRATEGY_ROW, EXTERNAL_ROW = 0, 1  # of struct gate_strategy


def prepare_account(instance: Instance, configuration: Configuration, now_ns: int | None = None) -> None:
    """Epoch and limits before a core starts. `now_ns` None: a recording, whose clock no hours are kept by."""
    instance.control[0]["epoch"] = EPOCH_SINGLE_NODE
    write_limits(instance, configuration, now_ns)


def write_limits(instance: Instance, configuration: Configuration, now_ns: int | None) -> None:
    """Every limit of the account, of groups and strategies, and the rates: whole, or not at all."""
    account = instance.regions["gate"].view("gate_account")[0]
    account["limits_version"] += 1  # odd: half-written, the gate denies
    for name, number in account_words(configuration).items():
        account[name] = number
    account["hours_open_ns"], account["hours_close_ns"] = hours_ns(configuration.hours, now_ns)
    write_rates(account, configuration, now_ns)
    account["groups"]["value_max"][1:] = SCALED_MAX
    account["strategies"]["flags"] = 0
    for row, trader in traders(configuration).items():
        for name, number in strategy_words(trader, configuration).items():
            account["strategies"][name][row] = number
    account["limits_version"] += 1


def account_words(configuration: Configuration) -> dict[str, int]:
    """The account's limits, in the units of struct gate_account."""
    risk, portfolio = configuration.risk, configuration.portfolio
    return {
        **rate_words(risk.rate_per_second or 0, risk.rate_burst or 0, risk.reserve_percent),
        "day_messages_max": risk.day_messages_max or 0,
        "gross_max": money(risk.gross_max or 0, PRICE_UNITS),
        "net_max": money(risk.net_max or 0, PRICE_UNITS),
        "capital": money(risk.capital or 0, PRICE_UNITS),
        "dup_ns": risk.dup_ms * MILLISECOND_NS,
        "rate_age_ns": portfolio.rate_age_s * SECOND_NS,
        "window_ns": risk.window_s * SECOND_NS,
        "value_fraction": share(risk.signal_ppm),
        "group_fraction": share(portfolio.group_ppm),
    }


def carried_positions(configuration: Configuration) -> dict[str, tuple[int, int]]:
    """(signed quantity, average price in 1/10000) of what is held from earlier days, by symbol."""
    portfolio = configuration.portfolio
    prices = {symbol: round(Decimal(str(price)) * PRICE_UNITS) for symbol, price in portfolio.prices.items()}
    return {symbol: (held, prices[symbol]) for symbol, held in portfolio.positions.items() if held}


def currency_rows(configuration: Configuration) -> dict[str, int]:
    """Row of struct gate_rate by currency; 0 is the account's own."""
    portfolio = configuration.portfolio
    return {portfolio.currency: 0} | {currency: row for row, currency in enumerate(sorted(portfolio.rates), start=1)}


def write_rates(account: np.void, configuration: Configuration, now_ns: int | None) -> None:
    """The rates of the configuration, as of now; exact decimals, rounded up by less than 2^-32. A recording's never age."""
    rates = account["rates"]
    if now_ns is None:
        now_ns, account["rate_age_ns"] = ALWAYS_NS
    rates["fraction"][0], rates["time_ns"][0] = FRACTION_ONE, now_ns
    for currency, row in currency_rows(configuration).items():
        if row != 0:
            rate = Fraction(Decimal(repr(configuration.portfolio.rates[currency])))
            rates["fraction"][row], rates["time_ns"][row] = fraction(rate, 1), now_ns


def traders(configuration: Configuration) -> dict[int, Trader]:
    """Strategies by the row of struct gate_strategy."""
    rows: dict[int, Trader] = {STRATEGY_ROW: configuration.strategy}
    if configuration.external.enabled:
        rows[EXTERNAL_ROW] = configuration.external
    return rows


def strategy_words(trader: Trader, configuration: Configuration) -> dict[str, int]:
    """One strategy's limits, in the units of struct gate_strategy."""
    return {
        "flags": layout.value("STRATEGY_SET"),
        "position_max": trader.position_max or configuration.risk.position_max or 0,
        "repeat_max": trader.repeat_max,
        "repeat_ns": trader.repeat_s * SECOND_NS,
    }


def permits_of(configuration: Configuration, symbol: str) -> int:
    """Who may trade a symbol, as the bits of struct gate_row; "*" stands for a symbol that nobody names."""
    bits = 0
    for row, trader in traders(configuration).items():
        if trader.instruments == ["*"] or symbol in trader.instruments:
            bits |= SIDES[trader.sides] << 2 * row
    return bits


def instrument_limits(configuration: Configuration) -> dict[str, int]:
    """The limits of every admitted instrument that nobody names, in the units of struct gate_row."""
    risk = configuration.risk
    if risk.unset():
        return {}
    auction = layout.value("INSTRUMENT_AUCTION") if risk.auctions else 0
    return {
        "flags": layout.value("INSTRUMENT_LIMITS_SET") | auction,
        "quantity_max": risk.quantity_max or 0,
        "value_max": (risk.value_max or 0) * PRICE_UNITS,
        "position_max": risk.position_max or 0,
        "collar_ppm": risk.collar_ppm or 0,
        "window_ppm": risk.window_ppm,
        "stale_ns": stale_after_ns(configuration),
        "last_age_ns": risk.last_age_ms * MILLISECOND_NS,
        "margin_fraction": fraction(risk.margin_ppm),
        "permits": permits_of(configuration, "*"),
    }


def named_limits(configuration: Configuration) -> dict[str, dict[str, int]]:
    """What is different for the symbols that the configuration names, by symbol."""
    risk, portfolio = configuration.risk, configuration.portfolio
    if risk.unset():
        return {}
    weights, currencies = portfolio.weights(), currency_rows(configuration)
    listed = [symbol for trader in traders(configuration).values() for symbol in trader.instruments if symbol != "*"]
    named = {}
    for symbol in {*risk.own, *weights, *portfolio.currencies, *listed}:
        own = dict(risk.own.get(symbol, {}))
        if "value_max" in own:
            own["value_max"] *= PRICE_UNITS
        group, weight = weights.get(symbol, (0, Fraction(0)))
        currency = currencies[portfolio.currencies.get(symbol, portfolio.currency)]
        money_words = {"group": group, "weight_fraction": fraction(weight, 1), "currency": currency}
        named[symbol] = {**own, **money_words, "permits": permits_of(configuration, symbol)}
    return named


def stale_after_ns(configuration: Configuration) -> int:
    """Age of a book that the gate refuses: the shorter of the bounds that are written; 0 without one."""
    bounds = [bound for bound in (configuration.quality.stale_after_ms, configuration.risk.stale_ms) if bound]
    return min(bounds, default=0) * MILLISECOND_NS


def hours_ns(hours: Hours, now_ns: int | None) -> tuple[int, int]:
    """(open, close) of the trading day that is or comes next, in nanoseconds of UTC; always open where nothing is said."""
    if not hours.open or now_ns is None:
        return ALWAYS_NS
    zone = ZoneInfo(hours.zone)
    today = datetime.fromtimestamp(now_ns / SECOND_NS, UTC).astimezone(zone).date()
    for ahead in range(-1, DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        close_day = day if hours.close > hours.open else day + timedelta(days=1)
        begin, end = (_moment_ns(*pair, zone) for pair in ((day, hours.open), (close_day, hours.close)))
        if DAYS[day.weekday()] in hours.days and now_ns < end:
            return begin, end
    raise AssertionError("a week has every day")


def _moment_ns(day: date, text: str, zone: ZoneInfo) -> int:
    moment = datetime.combine(day, time.fromisoformat(text), zone)
    return round(moment.timestamp()) * SECOND_NS


def follow_hours(instance: Instance, configuration: Configuration, now_ns: int) -> bool:
    """Writes the next trading day once the last has closed; true when it did."""
    account = instance.regions["gate"].view("gate_account")[0]
    if not configuration.hours.open or now_ns < int(account["hours_close_ns"]):
        return False
    account["limits_version"] += 1
    account["hours_open_ns"], account["hours_close_ns"] = hours_ns(configuration.hours, now_ns)
    account["limits_version"] += 1
    return True


def await_session(instance: Instance) -> None:
    """Nothing new leaves before core has heard what the venue said until the first connection: 0 would mean that none is
    needed, and the references of a run before this one would be used again."""
    instance.regions["gate"].view("gate_account")[0]["session_connection"] = NEVER_HEARD


def deny_new_risk(instance: Instance) -> None:
    """Nothing new leaves from here on; cancels do."""
    instance.regions["gate"].view("gate_account")[0]["rate_interval_ns"] = 0
