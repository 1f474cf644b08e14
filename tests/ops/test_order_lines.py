"""Lines of the log about orders: which records become one, with which ids, and how many at most."""

import numpy as np
import pytest

from gateway import layout
from gateway.instance import Instance
from gateway.ops.order_lines import LINES_PER_SECOND, OrderLines, SessionWatch
from tests.corridor_bench import unique_name
from tests.order_desk import Desk


class Heard:
    """Stands for a Log."""

    def __init__(self):
        self.lines = []

    def info(self, event, text="", **ids):
        self.lines.append((event, ids))

    warning = error = info


def records_of(desk):
    return np.array(desk.records())


def traded():
    desk = Desk().open()
    desk.send(signal_id=5)
    desk.send(quantity=0, signal_id=6)
    desk.report("OrderAccepted", user_ref_num=1, quantity=100, price=1_000_200, order_reference_number=9, order_state="L")
    desk.report("OrderExecuted", user_ref_num=1, quantity=40, price=1_000_100, match_number=77)
    desk.send(signal_id=7)
    desk.refuse(3, "REFUSAL_LATE")
    return records_of(desk)


def test_fills_and_refusals_are_lines_with_reference_and_signal():
    heard = Heard()
    OrderLines(heard)(traded())
    ids = {"instrument": 1, "strategy": 0}
    assert heard.lines == [
        (
            "report",
            {
                "reference": 1,
                "signal": 5,
                **ids,
                "report": "Order Executed",
                "price": 1_000_100,
                "quantity": 40,
                "match": 77,
            },
        ),
        ("report", {"reference": 3, "signal": 7, **ids, "report": "not sent: LATE"}),
    ]


def test_everything_means_decisions_and_every_report():
    heard = Heard()
    OrderLines(heard, everything=True)(traded())
    assert [event for event, _ in heard.lines] == ["decision", "decision", "report", "report", "decision", "report"]
    assert heard.lines[1][1]["refused_by"] == ["QTY", "VALUE"] and heard.lines[1][1]["signal"] == 6


def test_a_burst_is_cut_off_and_the_number_of_lines_left_out_is_said():
    heard, second = Heard(), [1.0]
    lines = OrderLines(heard, everything=True, now=lambda: second[0])
    burst = np.repeat(traded()[:1], LINES_PER_SECOND)
    lines(burst[:50])
    lines(burst)
    assert len(heard.lines) == LINES_PER_SECOND
    second[0] = 2.5
    lines(burst[:1])
    assert heard.lines[LINES_PER_SECOND] == ("order_lines_suppressed", {"count": 50})
    assert len(heard.lines) == LINES_PER_SECOND + 2


@pytest.fixture
def instance():
    made = Instance.create(unique_name("watch"))
    yield made
    made.close(remove=True)


def test_the_session_is_heard_of_when_it_comes_up_is_lost_or_is_refused(instance):
    heard, watch = Heard(), SessionWatch()
    state = instance.regions["session"].view("session_state")[0]
    watch.follow(instance, heard)
    assert heard.lines == []
    state["connections"], state["next_sequence"], state["reports_replayed"] = 1, 12, 11
    state["phase"] = layout.value("SESSION_UP")
    watch.follow(instance, heard)
    state["losses"], state["last_loss"], state["phase"] = 1, layout.value("LOSS_SILENCE"), layout.value("SESSION_WAITING")
    watch.follow(instance, heard)
    state["phase"] = layout.value("SESSION_REFUSED")
    for _ in range(3):
        watch.follow(instance, heard)
    assert heard.lines == [
        ("session_up", {"connection": 1, "next_sequence": 12, "replayed": 11}),
        ("session_lost", {"losses": 1, "loss": "SILENCE"}),
        ("session_refused", {}),
    ]
