"""`gateway bench latency`: a stall counts for all it delays, every frame is answered, stages are the whole, ends meet."""

import ctypes
import json
import math
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.cli import bench_latency
from gateway.cli.main import make_parser
from gateway.errors import CapabilityError, UsageError
from gateway.native import lib
from gateway.ops.bench import latency, latency_ends, latency_record
from gateway.ops.bench.latency_frames import HEADER_BYTES, TAGS, OrderShape, session_word, stream, take
from gateway.ops.bench.latency_hail import ECHO, GATEWAY, STAMPED, Hail, heard
from gateway.ops.bench.latency_library import Probe, library
from gateway.ops.bench.latency_run import Measurement
from gateway.ops.bench.latency_side import SEED, VenueSide
from gateway.port import open_port
from gateway.protocols import moldudp64

CAPABLE = shutil.which("gcc") is not None
COMMAND = [sys.executable, "-c", "import sys; from gateway.cli.main import main; sys.exit(main())", "bench", "latency"]
SECONDS_MAX = 240  # kernels may compile
ROUNDS_MAX = 10  # on a busy machine frames pile up, and those that were worked off together give no stages

needs_gcc = pytest.mark.skipif(not CAPABLE, reason="gcc is not installed: the ends of a wire are contenders in C")


def words(*options: str) -> Any:
    parser, _ = make_parser(["bench"])
    return parser.parse_args(["bench", "latency", *options])


def test_the_stream_has_every_message_once_and_names_it():
    for sequence, (frame, tag) in enumerate(islice(stream(SEED), 2000), 1):
        packet = moldudp64.decode(frame[HEADER_BYTES:])
        assert (packet.sequence, packet.count) == (sequence, 1)
        assert tag == (1 + sequence % TAGS if packet.messages[0][:1] in (b"A", b"F") else 0)


def test_a_hail_comes_through_padded_and_nothing_else_is_taken_for_one():
    market = next(stream(SEED))[0]
    hail = Hail(70, STAMPED, 8000, session_word(market))
    assert heard(hail.frame(market) + bytes(18)) == hail
    assert heard(market) is None
    assert len(hail.payload()) < moldudp64.HEADER_BYTES


class Wire:
    """Both ends of a pair in this process: a venue's side, and an echo that begins when it is told to."""

    def __init__(self, folder: Path) -> None:
        name = f"latency-{uuid.uuid4().hex[:8]}"
        self.near = open_port(f"pair:{name}")
        self.side = VenueSide(1, 0, folder)
        self.side.open_named("pair", f"pair:{name},side=b")
        self.begin_ticks = 0

    def echo(self, count: int, after_s: float) -> None:
        shape, market = self.side.shape, self.side.market
        time.sleep(after_s)
        self.begin_ticks = lib.clock_read_ticks()
        budget = 2 * self.side.ticks_per_second
        size, session = len(shape.template), session_word(market)
        library().echo_orders(self.near.address, b"", 0, session, shape.template, size, shape.tag_at, TAGS, count, budget)

    def close(self) -> None:
        self.side.close()
        self.near.close()


@contextmanager
def wire(folder: Path) -> Iterator[Wire]:
    made = Wire(folder)
    try:
        yield made
    finally:
        made.close()


@needs_gcc
@pytest.mark.parametrize(("stall_s", "interval_ns"), [(0.03, 100_000), (0.01, 20_000), (0.05, 400_000)])
def test_a_stall_of_the_answering_side_counts_for_every_frame_it_delays(tmp_path, stall_s, interval_ns):
    with wire(tmp_path) as both:
        batch = take(both.side.stream, 400)
        probe, ticks = both.side._probe("pair", batch, interval_ns)
        probe.patience_ticks = both.side.ticks_per_second  # neither end has a CPU of its own here
        thread = threading.Thread(target=both.echo, args=(len(batch), stall_s))
        thread.start()
        library().probe_run(probe)
        thread.join()
    due = probe.begin_ticks + probe.interval_ticks * np.arange(len(batch))
    wanted = batch.tags != 0
    assert (probe.sent, probe.answered, probe.due) == (len(batch), wanted.sum(), wanted.sum())
    assert (ticks[wanted] >= 0).all() and (ticks[~wanted] == -1).all()
    delayed = wanted & (due < both.begin_ticks)
    assert delayed.sum() > 10
    assert (ticks[delayed] >= (both.begin_ticks - due)[delayed]).all()  # from when it was due, not from when it was sent


@needs_gcc
def test_orders_that_never_come_are_missing_and_not_fast(tmp_path):
    with wire(tmp_path) as both:
        batch = take(both.side.stream, 200)
        probe, ticks = both.side._probe("pair", batch, 10_000)
        library().probe_run(probe)
    assert (probe.answered, probe.due) == (0, (batch.tags != 0).sum())
    assert (ticks == -1).all()


def test_the_orders_of_the_appliance_carry_their_tag_where_the_venue_looks(tmp_path):
    shape = OrderShape.of(latency_ends.AnsweringSide(0, 0, tmp_path).configuration) if CAPABLE else None
    if shape is None:
        pytest.skip("gcc is not installed")
    assert shape.template[shape.tag_at : shape.tag_at + 4] == bytes(4)
    assert ctypes.sizeof(Probe) == 17 * 8


def test_the_stages_and_the_stamps_are_the_whole():
    random = np.random.default_rng(7)
    ticks = random.integers(10, 400, (1000, len(latency_record.STAGES)))
    venue_ns = ticks.sum(axis=1) * 0.5 + 300
    budget = latency_record.budget_of(ticks, 0.5, 4.0, venue_ns)
    assert budget is not None
    assert math.isclose(budget.whole, venue_ns[latency_record.middle(venue_ns)].mean())
    assert math.isclose(budget.stages[latency_record.STAMP], 4.0 * len(latency_record.ADDED))
    assert math.isclose(budget.stages[latency_record.WIRE], 300)
    assert latency_record.budget_of(ticks[:2], 0.5, 4.0, venue_ns) is None


def test_percentiles_come_from_a_histogram_that_other_tools_read(tmp_path):
    hdrh = pytest.importorskip("hdrh", reason="hdrhistogram is not installed: pip install 'bypass-gateway[bench]'")
    ns = np.random.default_rng(3).lognormal(8, 1, 50_000).astype(np.int64)
    histogram = latency_record.histogram_of(ns)
    told = latency_record.figures(histogram)
    for share in latency_record.PERCENTILES:
        found = told[f"p{share:g}"]
        assert (ns < found * 0.998).mean() <= share / 100 <= (ns <= found * 1.002).mean() + 1 / len(ns)
    assert math.isclose(told["max"], ns.max(), rel_tol=2e-3)
    latency_record.write_log(tmp_path / "runs.hlog", {"pair-gateway": [(1.0, 2.0, histogram), (2.0, 3.0, histogram)]})
    whole = hdrh.histogram.HdrHistogram(latency_record.LOWEST_NS, latency_record.HIGHEST_NS, latency_record.FIGURES)
    reader = hdrh.log.HistogramLogReader(str(tmp_path / "runs.hlog"), whole)
    while reader.add_next_interval_histogram(whole):
        pass
    assert whole.get_total_count() == 2 * len(ns)
    reader.close()


def test_without_the_histogram_the_mend_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "hdrh", None)
    with pytest.raises(CapabilityError, match=r"pip install 'bypass-gateway\[bench\]'"):
        bench_latency.run(words("--port", "pair"))


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        (["--rate", "10"], "1,000 to 50,000"),
        (["--seconds", "0"], "give 0.1 to 600"),
        (["--cpus", "one"], "two numbers"),
        (["--json", "/nowhere/at/all.json"], "make it first"),
        (["--role", "venue", "--venue-port", "pair:x"], "leave one of them out"),
    ],
)
def test_words_that_cannot_be_meant_are_refused_with_the_mend(options, mend):
    arguments = words(*options)
    with pytest.raises(UsageError, match=mend):
        bench_latency.check(arguments)
        bench_latency.cpus_of(arguments.cpus)


def test_a_port_without_an_other_end_asks_for_it():
    with pytest.raises(UsageError, match="--venue-port on this machine or --role on two"):
        latency.wires_of("af_packet:eth1")


def test_one_cpu_is_not_enough_and_two_must_differ(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3})
    with pytest.raises(CapabilityError, match="needs two CPUs"):
        latency_ends.two_cpus(None)
    with pytest.raises(CapabilityError, match="two different ones"):
        latency_ends.two_cpus((3, 3))


@pytest.mark.slow
@needs_gcc
def test_a_run_over_a_pair_answers_every_frame_and_its_stages_are_the_whole():
    with latency_ends.here(latency.wires_of("pair")[:1]) as ends:
        measurement = Measurement(ends, 40_000)
        measurement.prepare(2000)
        for index in range(ROUNDS_MAX):
            measurement.round(1500, index)
            if latency.budget_data(measurement, "pair") is not None:
                break
    assert not measurement.failures
    for mode in (ECHO, GATEWAY, STAMPED):
        runs = measurement.runs["pair", mode]
        assert runs.due > 50 and runs.missing == 0
        assert len(runs.all_ns) > 50 and runs.all_ns.min() > 0
    data = latency.budget_data(measurement, "pair")
    assert data is not None and min(data["stages"].values()) >= 0
    venue_ns = measurement.runs["pair", STAMPED].all_ns
    whole = float(venue_ns[latency_record.middle(venue_ns)].mean())
    assert math.isclose(sum(data["stages"].values()), whole, rel_tol=1e-6)
    assert len(latency.above_floor(measurement, "pair")) == 1


@pytest.mark.slow
@needs_gcc
@pytest.mark.root
@pytest.mark.usefixtures("as_root")
def test_two_machines_meet_over_their_wire_and_both_end(tmp_path):
    pytest.importorskip("hdrh", reason="hdrhistogram is not installed: pip install 'bypass-gateway[bench]'")
    told = tmp_path / "told.json"
    try:
        cpus = latency_ends.two_cpus(None)
    except CapabilityError as problem:
        pytest.skip(str(problem))
    with machines() as (near, far):
        role = [*COMMAND, "--port", "af_packet:wire", "--cpus", f"{cpus[0]},{cpus[1]}", "--role"]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        answering = subprocess.Popen(["ip", "netns", "exec", near, *role, "gateway"], **pipes)
        try:
            assert answering.stderr and any("ready" in line for line in answering.stderr)
            asked = ["--rate", "5000", "--seconds", "0.4", "--json", str(told)]
            done = subprocess.run(
                ["ip", "netns", "exec", far, *role, "venue", *asked], capture_output=True, text=True, timeout=SECONDS_MAX
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed, _ = answering.communicate(timeout=30)
        finally:
            answering.kill()
            answering.communicate()
    rows = {row["by"]: row for row in json.loads(told.read_text())["latency"]["rows"]}
    assert rows["gateway"]["missing"] == rows["echo"]["missing"] == 0
    assert rows["gateway"]["ns"]["p50"] > rows["echo"]["ns"]["p50"] > 0
    assert answering.returncode == 0
    assert "strategy" in printed and "ring out" in printed


@contextmanager
def machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces, joined by a veth whose ends are both called `wire`."""
    near, far = (f"latency-{uuid.uuid4().hex[:6]}" for _ in range(2))

    def ip(*parts: str) -> None:
        subprocess.run(["ip", *parts], check=True, timeout=20)

    with ExitStack() as stack:
        for space in (near, far):
            ip("netns", "add", space)
            stack.callback(subprocess.run, ["ip", "netns", "delete", space], capture_output=True, timeout=20)
            quiet = ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]
            subprocess.run(["ip", "netns", "exec", space, *quiet], check=True, timeout=20)
        ip("link", "add", "wire", "netns", near, "type", "veth", "peer", "name", "wire", "netns", far)
        for space in (near, far):
            ip("-n", space, "link", "set", "wire", "up")
        yield near, far
