"""The main job, whole: venue and appliance as processes on every kind of port, checked against each other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.native import lib

SECONDS = 3
TIMEOUT = 300
FIELDS = {
    "ok",
    "port",
    "frames_received",
    "frames_lost",
    "messages_decoded",
    "orders_sent",
    "orders_rejected",
    "fills",
    "books_compared",
    "books_wrong",
    "position_errors",
    "tick_to_order_ns",
}


def demo(*words, **settings):
    """Runs a demo to its end; whatever it made (its names carry its process number) must be gone then."""
    command = [sys.executable, "-m", "gateway.cli.main", "demo", "--seconds", str(SECONDS), "--json", *words]
    environment = {**os.environ, **{f"GATEWAY__{key}": text for key, text in settings.items()}}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert left_over(process.pid) == ([], [])
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def left_over(pid):
    """Shared memory and network namespaces of the demo that was this process."""
    shared = [path.name for path in Path("/dev/shm").glob(f"gateway-*demo-{pid}*")]
    spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    return shared, [line for line in spaces.splitlines() if line.split()[0] == f"gw{pid}"]


def check(outcome):
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    result = json.loads(outcome.stdout.splitlines()[-1])
    assert set(result) >= FIELDS
    assert set(result["tick_to_order_ns"]) == {"p50", "p99", "p999", "max", "count"}
    assert result["ok"] and result["books_compared"] == 32 and result["books_wrong"] == 0
    assert result["position_errors"] == 0 and result["gap_messages"] == result["gap_messages_on_purpose"]
    assert result["messages_decoded"] > 10_000 and result["fills"] > 0
    assert result["orders_sent"] == result["venue_orders_received"] == result["tick_to_order_ns"]["count"] > 0
    return result


def test_the_demo_on_a_pair_agrees_with_the_venue():
    result = check(demo("--port", "pair"))
    assert result["frames_lost"] == 0


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize("port", ["tap", "af_packet", "dpdk"])
def test_the_demo_on_a_kernel_or_dpdk_port_agrees_with_the_venue(as_root, port):
    if port == "dpdk" and not lib.GATEWAY_WITH_DPDK:
        pytest.skip("this build has no DPDK")
    check(demo("--port", port))


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize("driver", ["vhost", "af_packet", "tap"])
def test_the_demo_on_every_other_dpdk_driver_agrees_with_the_venue(as_root, driver):
    if not lib.GATEWAY_WITH_DPDK:
        pytest.skip("this build has no DPDK")
    result = check(demo("--port", f"dpdk:{driver}", "--seconds", "2"))
    assert result["port"].startswith(f"dpdk:net_{driver}0,")


def lost_and_healed(outcome):
    """What every way of healing must bring: many gaps, every book compared with the venue's, none wrong, none stale."""
    result = check(outcome)
    assert result["gaps"] >= result["losses_on_both_lines"] > 5
    assert result["books_stale"] == 0 and result["books_healed"] > 32
    assert result["stale_ms"]["count"] == result["books_healed"]
    assert 0 < result["stale_ms"]["p50"] <= result["stale_ms"]["max"]
    return result


@pytest.mark.slow
def test_messages_lost_on_both_lines_are_asked_for_and_every_book_heals():
    result = lost_and_healed(demo("--loss", "2000", "--snapshots", "0"))
    assert result["requests"] >= result["gaps"] and result["requests_answered"] > 0
    assert result["messages_decoded"] == result["venue_messages"]


@pytest.mark.slow
@pytest.mark.root
def test_over_a_veth_lost_messages_are_asked_for_and_every_book_heals(as_root):
    result = lost_and_healed(demo("--loss", "2000", "--port", "af_packet"))
    assert result["requests"] > 0


@pytest.mark.slow
def test_without_a_request_server_snapshots_heal_book_by_book():
    result = lost_and_healed(demo("--loss", "2000", "--snapshots", "200", FEED__REQUEST_SERVER=""))
    assert result["requests"] == 0


@pytest.mark.slow
def test_with_neither_server_nor_snapshots_the_books_stay_stale_and_are_not_traded():
    outcome = demo("--loss", "2000", FEED__REQUEST_SERVER="", FEED__SNAPSHOT_LINE="")
    result = json.loads(outcome.stdout.splitlines()[-1])
    assert outcome.returncode == 0 and result["ok"], outcome.stdout
    assert result["gaps"] > 0 and result["gap_messages"] == result["gap_messages_on_purpose"] > 0
    assert result["books_stale"] == 32 and result["books_compared"] == 0 and result["books_healed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--port", "carrier-pigeon"], 2, "pair, tap, af_packet, dpdk"),
        (["--port", "dpdk:carrier-pigeon"], 2, "memif, vhost, af_packet, tap"),
        (["--seconds", "0"], 2, "above 0"),
        (["--strategy", "/no/such/file.py"], 3, "cannot be read"),
    ],
)
def test_a_demo_that_cannot_start_says_why_in_one_line(words, code, said):
    outcome = demo(*words)
    assert outcome.returncode == code, outcome.stderr
    assert said in outcome.stderr.splitlines()[-1]
