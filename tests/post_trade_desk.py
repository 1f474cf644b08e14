"""Control after the trade over an instance's memory, with the test's time; journal records and a comparison made by hand."""

import os
from contextlib import contextmanager

import numpy as np
import pyotp

from gateway import layout
from gateway.instance import Instance
from gateway.ops import second_factor
from gateway.ops.limit_block import prepare_account
from gateway.ops.post_trade import PostTrade
from tests.corridor_bench import IMBALANCE, configuration

S, MS = 10**9, 10**6
MORNING = 1_767_600_000 * S
CAPITAL = 1_000_000 * 10_000


class Control:
    """Control and what it shares, over a state folder; time is the test's."""

    def __init__(self, state, venue=None, **fields):
        self.settings = configuration(
            IMBALANCE,
            instance__state=str(state),
            **{"risk__capital": CAPITAL // 10_000, "portfolio__currency": "USD", **fields},
        )
        self.instance = Instance.create(self.settings.instance.name)
        prepare_account(self.instance, self.settings, MORNING)
        self.account = self.instance.regions["gate"].view("gate_account")[0]
        self.rows, self.books = self.instance.rows("gate"), self.instance.rows("books")
        self.seen = self.instance.regions["post_trade"].view("post_trade_account")[0]
        self.told, self.now = [], MORNING
        self.controls = PostTrade(self.instance, self.settings, venue, self.told.append)

    def list(self, number, symbol="AAPL"):
        self.books["symbol"][number] = symbol.ljust(8).encode()
        self.books["flags"][number] = layout.value("BOOK_VALID")
        self.rows["flags"][number] = layout.value("INSTRUMENT_PERMITTED")

    def turn(self, passed=20 * MS, turns=1):
        for _ in range(turns):
            self.now += passed
            self.controls.tick(self.now)

    def fired(self, name):
        return int(self.seen["fired"][layout.value(f"POST_TRADE_{name}")])


@contextmanager
def controls_in(state):
    """Makes controls over one state folder, one after the other, as restarts do; `state` of it is the folder."""
    made = []

    def make(**fields):
        made.append(Control(state, **fields))
        return made[-1]

    make.state = state
    try:
        yield make
    finally:
        for row in made:
            row.instance.close(remove=True)


def configuration_file(folder):
    """A configuration whose state folder is that of `controls_in`."""
    path = folder / "gateway.toml"
    path.write_text(f'[instance]\nname = "resume-{os.getpid()}"\nstate = "{folder / "state"}"\n')
    return str(path)


def code_now(running):
    """A secret, and the code of a step that no test has spent."""
    path = second_factor.secret_path(running.settings)
    if not path.exists():
        second_factor.make(running.settings)
    return pyotp.TOTP(path.read_text().strip()).now()


def record(kind, reference, side="BUY", price=0, intent_price=1_010_000, bid=0, ask=0, quantity=100, strategy=0, reasons=0):
    row = np.zeros(1, dtype=layout.dtype("journal_slot"))
    row["kind"], row["reference"], row["reasons"] = layout.value(f"JOURNAL_{kind}"), reference, reasons
    row["price"], row["bid"], row["ask"], row["quantity"] = price, bid, ask, quantity
    row["intent"]["kind"] = layout.value("INTENT_NEW") if kind == "DECISION" else 0
    row["intent"]["side"], row["intent"]["price"] = layout.value(f"SIDE_{side}"), intent_price
    row["intent"]["quantity"], row["intent"]["strategy"] = quantity, strategy
    return row


def fill(reference, price, **fields):
    return record("REPORT", reference, price=price, reasons=ord("E"), **fields)


class Compared:
    """Stands for the comparison with the venue."""

    def __init__(self):
        self.observers, self.asked = [], 0

    def ask(self):
        self.asked += 1

    def find(self, **differences):
        for observer in self.observers:
            observer({name.replace("_", " "): text for name, text in differences.items()})


def controls(breaches):
    """Which controls fired."""
    return [breach.control for breach in breaches]
