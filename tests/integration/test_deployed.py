"""The role run on a Debian with systemd, and the appliance it leaves there: stopped, killed, hung, and removed.

box.py draws the picture. Minutes: the first start compiles kernels in the box.
"""

import json
import os
import shutil
import sys
import time

import pytest

from gateway import pipeline
from gateway.ops import journal
from gateway.ops.process import CONFIGURATION_FILE, PROBLEM_FILES
from tests.integration.box import ROOT, ansible, boxes, ended
from tests.integration.deployed_appliance import OPEN_MIN, OVER_TCP, PASSWORD, SETTINGS, settings_tcp, trading, wire_orders
from vagrant.testbed.guest_tree import PROCESSOR

pytestmark = [pytest.mark.long, pytest.mark.root]

PROCESSES = ("control", "io", "core")
USERS = {"control": "gateway", "core": "gateway", "io": "gateway-io", "session": "gateway-session"}
COMMAND = "env GATEWAY__INSTANCE__NAME=test GATEWAY__INSTANCE__STATE=/var/lib/gateway/test /opt/gateway/bin/gateway"
# a stand-in for GRUB: what its real update-grub makes of the role's file was seen in a chroot (ADR 0022)
BOOT_LOADER = """
mkdir -p /etc/default/grub.d; touch /etc/default/grub
printf '#!/bin/sh\ncat /etc/default/grub.d/* > /boot/grub.words 2>/dev/null; true\n' > /usr/sbin/update-grub
chmod 755 /usr/sbin/update-grub
update-grub
"""
CANCEL_SECONDS = 5.0  # from the latch to the last cancel at the venue, on a busy machine


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The project as a wheel, and a folder of what it needs."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the box is Debian 12: its Python is 3.11")
    folder = tmp_path_factory.mktemp("packages")
    for name in ended("git", "ls-files", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():  # the index may know more than the folder
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "clone" / name)
    words = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "wheel",
        "--wheel-dir",
        str(folder / "wheels"),
    ]
    ended(*words, str(folder / "clone"), seconds=900)
    (project,) = (folder / "wheels").glob("bypass_gateway-*.whl")
    return shutil.move(project, folder), folder / "wheels"


@pytest.fixture(scope="module")
def box(packages, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts, network namespaces, a system of its own")
    ansible("ansible-playbook")
    folder = tmp_path_factory.mktemp("box")
    (folder / "settings.yml").write_text(
        SETTINGS.format(package=packages[0], wheels=packages[1], processor=json.dumps(PROCESSOR))
    )
    with boxes(folder) as box:
        wire_orders(box.places)
        box.shell(BOOT_LOADER)
        box.before = box.look()
        yield box


@pytest.fixture
def deployed(box):
    """The box behind a run of the role that had something to do; its appliance runs, unlatched."""
    if box.run("test", "-e", "/etc/gateway/test.toml").returncode != 0:
        played = box.play("deploy.yml", "--skip-tags", "start")
        assert played.failed == 0 and played.changed > 10, played.output
        box.put_kernels()
        played = box.play("deploy.yml", "--tags", "host,start")
        assert (played.failed, played.changed) == (0, 1), played.output + box.log()
        box.keep_kernels()
    if box.show("gateway-control@test", "ActiveState") != ["active"]:
        box.shell("systemctl reset-failed 'gateway-*'; systemctl start gateway@test.target", seconds=600)
    box.wait_for("the appliance runs", "systemctl is-active gateway@test.target gateway-{control,io,core}@test")
    return box


def results(box, names=PROCESSES):
    """How each unit ended: systemd's word, exit code."""
    return {name: box.show(f"gateway-{name}@test", "Result", "ExecMainStatus") for name in names}


def stopped(box):
    """Stops the appliance and waits until its units have ended."""
    box.shell("systemctl stop gateway@test.target")
    for name in USERS:
        box.wait_for(f"{name} has ended", f"systemctl show -p ActiveState gateway-{name}@test | grep -qE 'inactive|failed'")


def start_again(box, *more):
    """What docs/operating/bare-metal.md says to do after a latch."""
    box.shell("systemctl stop gateway-control@test")
    cleared = box.run(*COMMAND.split(), "kill", "--clear", *more, "--config", "/etc/gateway/test.toml")
    assert cleared.returncode == 0, cleared.stderr
    box.shell("systemctl restart gateway@test.target", seconds=600)


def test_a_second_run_of_the_role_changes_nothing(deployed):
    played = deployed.play("deploy.yml")
    assert (played.failed, played.changed) == (0, 0), played.output
    played = deployed.play("deploy.yml", "--check")
    assert (played.failed, played.changed) == (0, 0), played.output


def test_an_orderly_stop_leaves_no_order_open_and_no_unit_in_failed_state(deployed):
    with trading(deployed) as venue:
        stopped(deployed)
        account = venue.account()
    assert results(deployed) == {name: ["success", "0"] for name in PROCESSES}, deployed.log()
    assert account["open_orders"] == [] and account["orders_canceled"] >= OPEN_MIN, account
    assert account["time_last_cancel_ns"] > account["time_last_order_ns"]
    rows = journal.read(deployed.folder / "upper/var/lib/gateway/test/journal.bin")
    assert len(rows) >= account["orders_accepted"] + account["orders_canceled"]
    assert not [line for line in deployed.look() if line.startswith("shared memory")]


def test_a_core_killed_under_systemd_is_latched_and_cancelled_and_status_tells_why(deployed):
    with trading(deployed) as venue:
        deployed.shell("systemctl kill --signal=SIGKILL gateway-core@test")
        deployed.wait_for("the latch lasts", "grep -q CORE_DIED /var/lib/gateway/test/kill")
        time.sleep(CANCEL_SECONDS)
        account = venue.account()
    assert account["open_orders"] == [] and account["cancels_received"] >= OPEN_MIN, account
    assert deployed.show("gateway-core@test", "Result", "ActiveState") == ["signal", "failed"]
    assert (
        deployed.show("gateway-io@test", "ActiveState") == deployed.show("gateway-control@test", "ActiveState") == ["active"]
    )
    assert "CORE_DIED" in deployed.show("gateway-control@test", "StatusText")[0]
    stopped(deployed)
    refused = deployed.run("systemctl", "start", "gateway@test.target")
    assert refused.returncode != 0
    assert "the kill latch is set (CORE_DIED" in deployed.run("systemctl", "status", "gateway-control@test").stdout
    start_again(deployed)
    assert deployed.show("gateway@test.target", "ActiveState") == ["active"], deployed.log()


def test_a_core_that_hangs_is_ended_by_the_watchdog_and_its_orders_are_cancelled(deployed):
    with trading(deployed) as venue:
        deployed.shell("systemctl kill --signal=SIGSTOP gateway-core@test")
        deployed.wait_for("the watchdog", "systemctl show -p Result gateway-core@test | grep -q watchdog")
        deployed.wait_for("the latch lasts", "grep -q CORE_ /var/lib/gateway/test/kill")
        time.sleep(CANCEL_SECONDS)
        account = venue.account()
    assert account["open_orders"] == [], account
    assert deployed.show("gateway-io@test", "ActiveState") == ["active"]
    start_again(deployed)
    assert deployed.show("gateway@test.target", "ActiveState") == ["active"], deployed.log()


def test_an_io_that_died_under_systemd_is_started_again_and_trading_goes_on(deployed):
    before = deployed.show("gateway-io@test", "MainPID")
    deployed.shell("systemctl kill --signal=SIGKILL gateway-io@test")
    deployed.wait_for("a fresh io", f"systemctl show -p MainPID gateway-io@test | grep -qvE '={before[0]}$|=0$'")
    with trading(deployed):
        pass
    assert deployed.show("gateway-io@test", "NRestarts") == ["1"]


def pids(box, names=PROCESSES):
    """Process numbers of the units, as the box counts them."""
    return {name: box.show(f"gateway-{name}@test", "MainPID")[0] for name in names}


def users(box, numbers):
    """Whose each of these processes is."""
    return {
        name: box.shell(f"id -un $(awk '/^Uid/ {{print $2}}' /proc/{number}/status)").strip()
        for name, number in numbers.items()
    }


def test_each_process_is_its_own_user_and_the_gate_is_written_by_control_and_core(deployed):
    assert users(deployed, pids(deployed)) == {name: USERS[name] for name in PROCESSES}
    unused = deployed.show("gateway-session@test", "ActiveState", "Result", "ExecMainStatus")
    assert unused == ["inactive", "success", "0"], "orders travel by the port"
    folder = "/dev/shm/gateway-test"
    assert deployed.shell(f"stat -c '%a %U %G' {folder}").split() == ["750", "gateway", "gateway"]
    found = {}
    for line in deployed.shell(f"cd {folder}; stat -c '%n %a %U %G' *").splitlines():
        name, *rest = line.split()
        found[name] = rest
    written = {*pipeline.group_writable(), *PROBLEM_FILES}
    for name in [table.name for table in (*pipeline.RINGS, *pipeline.REGIONS)] + [CONFIGURATION_FILE, *PROBLEM_FILES]:
        assert found[name] == ["660" if name in written else "640", "gateway", "gateway"], name
    assert found["lock"][0] == "600"
    io = f"setpriv --reuid gateway-io --regid gateway --clear-groups bash -c 'exec 3{{}}{folder}/{{}}'"
    opened = {word: deployed.run("bash", "-c", io.format(word, "gate")).returncode == 0 for word in ("<", "<>")}
    assert opened == {"<": True, "<>": False}
    assert deployed.run("bash", "-c", io.format("<>", "io_core")).returncode == 0


def test_control_ends_an_io_that_hangs_though_it_is_another_users_and_cancels_through_a_fresh_one(deployed):
    with trading(deployed) as venue:
        before = pids(deployed)["io"]
        deployed.shell("systemctl kill --signal=SIGSTOP gateway-io@test")
        time.sleep(1.0)  # silent for good, and long before the watchdog
        deployed.shell("systemctl kill --kill-who=main --signal=SIGUSR1 gateway-control@test")
        log = "journalctl --no-pager --quiet --output=cat -u gateway-control@test"
        deployed.wait_for("the kill is over", f"{log} | grep -q 'kill SIGNAL: .* cancels sent'", seconds=90)
        account = venue.account()
    assert account["open_orders"] == [] and account["cancels_received"] >= OPEN_MIN, account
    assert pids(deployed)["io"] not in ("0", before)
    said = deployed.shell("journalctl --no-pager --quiet --output=cat -u gateway-io@test | tail -n 20")
    assert "status=9/KILL" in said and "atchdog" not in said, said
    # the reports that the hung io lost never come again in datagrams: our table stays behind the venue's account
    start_again(deployed, "--force")
    assert deployed.show("gateway@test.target", "ActiveState") == ["active"], deployed.log()


def wait_for_session(box, connections):
    """Until the order session is up for the `connections`th time."""
    seen = "/opt/gateway/bin/gateway top --instance test --once --json"
    compared = f"(s['phase'], s['connections']) != ('up', {connections})"
    script = f"import json, sys; s = json.load(sys.stdin)['order_session']; sys.exit({compared})"
    box.wait_for("the session is up", f'{seen} | python3 -c "{script}"')


def test_the_session_is_a_unit_and_a_user_of_its_own_whose_password_nobody_else_sees(deployed):
    (deployed.folder / "settings.yml").write_text(settings_tcp((deployed.folder / "settings.yml").read_text()))
    stopped(deployed)
    played = deployed.play("deploy.yml", "--tags", "configure")
    assert played.failed == 0 and PASSWORD not in played.output, played.output
    deployed.shell("systemctl start gateway@test.target", seconds=600)
    with trading(deployed, *OVER_TCP) as venue:
        numbers = pids(deployed, (*PROCESSES, "session"))
        assert users(deployed, numbers) == USERS
        holds = {name: PASSWORD in deployed.shell(f"cat /proc/{number}/environ") for name, number in numbers.items()}
        assert holds == {"control": True, "io": False, "core": False, "session": True}, "control reads the drop copy"
        like_core = ["setpriv", "--reuid=gateway", "--regid=gateway", "--clear-groups", "--"]
        assert deployed.run(*like_core, "cat", f"/proc/{numbers['control']}/environ").returncode != 0
        assert deployed.shell("stat -c '%a %U' /etc/gateway/test.session").split() == ["600", "root"]
        deployed.shell("systemctl kill --signal=SIGKILL gateway-session@test")
        wait_for_session(deployed, connections=2)
        deadline = time.monotonic() + 60
        fresh = pids(deployed, ("session",))["session"]
        assert fresh != numbers["session"] and pids(deployed) == {name: numbers[name] for name in PROCESSES}
        before = venue.orders()
        while (now := venue.orders()) < before + OPEN_MIN:
            assert time.monotonic() < deadline, f"no trading on the new connection: {now} orders"
            time.sleep(0.3)
        stopped(deployed)
        account = venue.account()
    assert results(deployed, (*PROCESSES, "session")) == {name: ["success", "0"] for name in USERS}, deployed.log()
    assert account["open_orders"] == [] and account["orders_canceled"] >= OPEN_MIN, account


def test_removing_leaves_nothing_behind(deployed):
    played = deployed.play("remove.yml", "-e", "gateway_purge=true")
    assert played.failed == 0, played.output
    after = deployed.look()
    assert sorted(set(after) - set(deployed.before)) == []
    assert sorted(set(deployed.before) - set(after)) == []
    again = deployed.play("remove.yml", "-e", "gateway_purge=true")
    assert (again.failed, again.changed) == (0, 0), again.output
