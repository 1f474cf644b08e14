"""What killed demos and benchmarks leave is removed by the next one; what lives, or is not a demo's, stays."""

import os
import subprocess
import sys

import pytest

from gateway import pipeline
from gateway.instance import Instance
from gateway.ops.left_overs import remove_left_overs

SMALL = tuple(region for region in pipeline.REGIONS if region.name in ("control", "counters"))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_shared_memory_of_a_killed_demo_is_removed_and_of_a_living_one_kept(tmp_path):
    dead, alive = dead_pid(), os.getpid()
    for pid in (dead, alive):
        (tmp_path / f"gateway-demo-{pid}").mkdir()
        (tmp_path / f"gateway-demo-{pid}-venue").mkdir()
        (tmp_path / f"gateway-pair-demo-{pid}.a").write_bytes(b"")
    (tmp_path / f"gateway-prod-{dead}").mkdir()
    (tmp_path / "gateway-demo-mine").mkdir()
    removed = [name for name in remove_left_overs(tmp_path) if not name.startswith("gw")]
    assert removed == [f"gateway-demo-{dead}", f"gateway-demo-{dead}-venue", f"gateway-pair-demo-{dead}.a"]
    kept = {path.name for path in tmp_path.iterdir()}
    living = {f"gateway-demo-{alive}", f"gateway-demo-{alive}-venue", f"gateway-pair-demo-{alive}.a"}
    assert kept == living | {f"gateway-prod-{dead}", "gateway-demo-mine"}


def test_shared_memory_of_a_killed_benchmark_is_removed_and_of_a_living_one_kept(tmp_path):
    dead, alive = dead_pid(), os.getpid()
    for pid in (dead, alive):
        for folder in (f"gateway-bench-{pid}", f"gateway-bench-{pid}-ports-abc_d1-0", f"gateway-bench-{pid}-ring-x1y2z3"):
            (tmp_path / folder).mkdir()
        (tmp_path / f"gateway-pair-bench-{pid}.b").write_bytes(b"")
        (tmp_path / f"gateway-pair-bench-{pid}-ports-abc_d1-1.a").write_bytes(b"")
    (tmp_path / f"gateway-benchmark-{dead}").mkdir()
    assert len([name for name in remove_left_overs(tmp_path) if str(dead) in name]) == 5
    assert sorted(path.name for path in tmp_path.iterdir() if str(dead) in path.name) == [f"gateway-benchmark-{dead}"]
    assert len([path for path in tmp_path.iterdir() if str(alive) in path.name]) == 5


def test_an_instance_that_somebody_still_holds_is_kept(tmp_path):
    name = f"demo-{dead_pid()}"
    instance = Instance.create(name, parent=tmp_path, rings=(), regions=SMALL)
    try:
        assert remove_left_overs(tmp_path) == [] and (tmp_path / f"gateway-{name}").is_dir()
    finally:
        instance.close(remove=True)


@pytest.mark.root
def test_a_namespace_of_a_killed_demo_is_removed(as_root):
    name, other = f"gw{dead_pid()}", f"gw{os.getpid()}"
    for space in (name, other):
        subprocess.run(["ip", "netns", "add", space], check=True, timeout=20)
    try:
        assert name in remove_left_overs()
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=20).stdout.split()
        assert name not in listed and other in listed
    finally:
        for space in (name, other):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, timeout=20)
