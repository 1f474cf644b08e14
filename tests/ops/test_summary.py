"""The summary: every counter under its own name, reasons and types by name, nothing that is only room."""

import json

import pytest

from gateway import layout
from gateway.instance import Instance
from gateway.native import ffi, lib
from gateway.ops.summary import messages_by_type, plain, reasons, summary
from tests.corridor_bench import unique_name


@pytest.fixture
def instance():
    made = Instance.create(unique_name("summary"))
    yield made
    made.close(remove=True)


def test_a_fresh_instance_has_done_nothing_and_says_so_in_json(instance):
    whole = json.loads(json.dumps(summary(instance)))
    assert whole["instance"] == instance.name and whole["kill_latch"] == ""
    assert set(whole["io"].values()) == {0} and set(whole["core"].values()) == {0}
    assert whole["messages"] == whole["feed_reasons"] == whole["rejects"] == whole["report_reasons"] == {}
    assert whole["tick_to_order_ns"] == {"p50": 0, "p90": 0, "p99": 0, "p999": 0, "max": 0, "count": 0}


def test_every_counter_stands_under_its_own_name(instance):
    counters = instance.counters[0]
    for block, struct in (("io", "io_counters"), ("core", "core_counters")):
        names = list(plain(counters[block], struct))
        for number, name in enumerate(names, start=1):
            counters[block][name] = number
        assert summary(instance)[block] == {name: number for number, name in enumerate(names, start=1)}
        assert not any("reserved" in name for name in names) and "reasons" not in names


def test_reasons_types_and_decisions_are_named(instance):
    counters = instance.counters[0]
    counters["core"]["reasons"][layout.value("FEED_LATE")] = 3
    counters["core"]["messages_by_type"][ord("A")] = 5
    counters["reports"]["reasons"][layout.value("FEED_SESSION_OTHER")] = 2
    counters["reports"]["packets"] = 9
    account = instance.regions["gate"].view("gate_account")[0]
    account["rejects"][layout.value("GATE_STALE")] = 7
    account["decisions"], account["accepted"], account["cancels"] = 9, 1, 1
    whole = summary(instance)
    assert whole["feed_reasons"] == {"late": 3} and whole["messages"] == {"A": 5}
    assert whole["report_reasons"] == {"session_other": 2} and whole["report_packets"]["packets"] == 9
    assert whole["rejects"] == {"stale": 7}
    assert (whole["decisions"], whole["accepted"], whole["cancels"]) == (9, 1, 1)
    assert messages_by_type(counters["core"]) == {"A": 5}
    assert reasons(counters["core"]["reasons"], "feed_reason", "FEED_") == {"late": 3}


def test_the_latch_is_named_by_its_reason(instance):
    lib.control_kill(ffi.cast("struct control_block *", instance.address("control")), lib.KILL_CORE_STALE)
    assert summary(instance)["kill_latch"] == "CORE_STALE"


def test_a_span_has_its_percentiles(instance):
    histogram = instance.counters[0]["spans"][layout.value("SPAN_RECEIVE_DECODE")]
    for nanoseconds in range(1, 1001):
        histogram["buckets"][lib.histogram_bucket_of(nanoseconds)] += 1
    histogram["count"], histogram["min_ns"], histogram["max_ns"] = 1000, 1, 1000
    found = summary(instance)["receive_decode_ns"]
    assert found["count"] == 1000 and found["max"] == 1000
    assert found["p50"] == pytest.approx(500, rel=0.05) and found["p99"] == pytest.approx(990, rel=0.05)
