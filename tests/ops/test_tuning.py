"""Tuning on a machine that is not here: every change is listed, made and taken back exactly."""

from pathlib import Path

import pytest

from gateway.errors import UsageError
from gateway.ops.host import Host
from gateway.ops.tuning import Change, Tuning, parse_processors, plan

FILES = {
    "proc/sys/vm/nr_hugepages": "0",
    "sys/devices/system/cpu/online": "0-3",
    "proc/irq/24/smp_affinity_list": "0-3",
    "proc/irq/25/smp_affinity_list": "2",
    "proc/irq/26/smp_affinity_list": "0-1",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors": "performance powersave",
}
PLAN = [
    Change("proc/sys/vm/nr_hugepages", "0", "64"),
    Change("proc/irq/24/smp_affinity_list", "0-3", "0,1"),
    Change("proc/irq/25/smp_affinity_list", "2", "0,1"),
    Change("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "performance"),
]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    return Host(tmp_path)


def state_of(host: Host) -> dict[str, str]:
    return {path: host.read(path) for path in FILES}


def test_a_plan_lists_what_differs_and_nothing_else(host: Host):
    assert plan(host, 64, {2, 3}, "performance") == PLAN
    assert plan(host, 0, set(), "powersave") == []


def test_undo_writes_back_what_was_before_the_first_apply(host: Host):
    before = state_of(host)
    tuning = Tuning(host, host.root / "state")
    assert all(not problem for _, problem in tuning.apply(plan(host, 64, {2, 3}, "performance")))
    assert host.read("proc/irq/25/smp_affinity_list") == "0,1"
    assert all(not problem for _, problem in tuning.apply(plan(host, 128, {3}, "")))
    assert host.read("proc/sys/vm/nr_hugepages") == "128"
    assert all(not problem for _, problem in tuning.undo())
    assert state_of(host) == before
    assert tuning.applied() == [] and tuning.undo() == []


def test_a_change_the_kernel_refuses_is_named_and_kept_for_a_later_undo(host: Host, monkeypatch: pytest.MonkeyPatch):
    tuning = Tuning(host, host.root / "state")
    original = Path.write_text

    def refuse(path: Path, text: str, *rest, **named):
        if path.name == "smp_affinity_list":
            raise OSError(5, "Input/output error")
        return original(path, text, *rest, **named)

    monkeypatch.setattr(Path, "write_text", refuse)
    outcomes = {change.path: problem for change, problem in tuning.apply(PLAN)}
    assert outcomes["proc/irq/24/smp_affinity_list"] == "Input/output error"
    assert outcomes["proc/sys/vm/nr_hugepages"] == ""
    tuning.undo()
    assert host.read("proc/sys/vm/nr_hugepages") == "0"
    assert {change.path for change in tuning.applied()} == {"proc/irq/24/smp_affinity_list", "proc/irq/25/smp_affinity_list"}


@pytest.mark.parametrize("text", ["x", "1-", "1;2"])
def test_processors_that_are_none_are_refused(text: str):
    with pytest.raises(UsageError, match="write them as 2,4-5"):
        parse_processors(text)


def test_no_processor_left_for_interrupts_is_refused(host: Host):
    with pytest.raises(UsageError, match="leave one for interrupts"):
        plan(host, None, {0, 1, 2, 3}, "")


def test_a_governor_the_kernel_does_not_offer_is_refused(host: Host):
    with pytest.raises(UsageError, match="performance, powersave"):
        plan(host, None, set(), "turbo")


def test_a_processor_that_is_not_there_is_refused_and_not_passed_over(host: Host):
    with pytest.raises(UsageError, match="no processor 99 here; there are 0,1,2,3"):
        plan(host, None, {3, 99}, "")
