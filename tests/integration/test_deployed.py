"""The role run on a Debian with systemd, and the appliance it leaves there: stopped, killed, hung, and removed.

box.py draws the picture. Minutes: the first start compiles kernels in the box.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from gateway.ops import journal
from tests.integration.box import ROOT, ansible, boxes, ended
from tests.integration.far_end import FAR, end
from vagrant.testbed.guest_tree import PROCESSOR

pytestmark = [pytest.mark.long, pytest.mark.root]

PROCESSES = ("control", "io", "core")
COMMAND = "env GATEWAY__INSTANCE__NAME=test GATEWAY__INSTANCE__STATE=/var/lib/gateway/test /opt/gateway/bin/gateway"
# a stand-in for GRUB: what its real update-grub makes of the role's file was seen in a chroot (ADR 0022)
BOOT_LOADER = """
mkdir -p /etc/default/grub.d; touch /etc/default/grub
printf '#!/bin/sh\ncat /etc/default/grub.d/* > /boot/grub.words 2>/dev/null; true\n' > /usr/sbin/update-grub
chmod 755 /usr/sbin/update-grub
update-grub
"""
OPEN_MIN = 5
CANCEL_SECONDS = 5.0  # from the latch to the last cancel at the venue, on a busy machine
SETTINGS = """
gateway_package: {package}
gateway_wheels: {wheels}
gateway_debian_index: false
gateway_kernel_options: "isolcpus=2,3 iommu=pt"
gateway_cards: {{}}
gateway_environment: {processor}
gateway_instances:
  test: |
    [port]
    name = "af_packet:near0"
    [exception]
    tap = "gwx"
    address = "10.0.9.2/24"
    [placement]
    idle = "sleep"
    [watch]
    core_stale_ms = 10_000
    control_stale_ms = 10_000
    [strategy]
    file = "/opt/gateway/lib/python3.11/site-packages/gateway/strategies/quotes.py"
    instruments = ["*"]
    repeat_max = 1000
    [risk]
    quantity_max = 1000
    value_max = 1_000_000
    position_max = 2000
    collar_ppm = 50_000
    stale_ms = 60_000
    rate_per_second = 500
    rate_burst = 100
    day_messages_max = 1_000_000
    capital = 50_000_000
    gross_max = 50_000_000
    net_max = 50_000_000
    instruments = ["*"]
"""


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


class Venue:
    """A simulated venue at the far end, which the strategy quotes at."""

    def __init__(self, box):
        self.box, self.path = box, box.folder / "venue.json"
        self.path.unlink(missing_ok=True)
        words = [
            "venue",
            "--instance",
            f"box{os.getpid()}",
            "--port",
            f"af_packet:{FAR}",
            "--rate",
            "1000",
            "--symbols",
            "64",
        ]
        self.process = box.places.start(
            box.places.far,
            sys.executable,
            "-m",
            "gateway.cli.main",
            *words,
            "--report",
            str(self.path),
            stderr=subprocess.DEVNULL,
        )

    def look(self):
        """What the appliance has done so far."""
        return json.loads(self.box.run("/opt/gateway/bin/gateway", "top", "--instance", "test", "--once", "--json").stdout)

    def wait_for_orders(self, seconds=300):
        """Until some orders rest at the venue."""
        deadline = time.monotonic() + seconds
        while (seen := self.look())["orders"].get("accepted", 0) < OPEN_MIN:
            assert self.process.poll() is None and time.monotonic() < deadline, (seen["core"], seen["rejects"])
            time.sleep(0.3)

    def account(self):
        """The venue's own account, once it has ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return json.loads(self.path.read_text())


@contextmanager
def trading(box):
    """A venue at which the appliance holds open orders."""
    venue = Venue(box)
    try:
        venue.wait_for_orders()
        yield venue
    finally:
        end(venue.process)


def results(box):
    """How each unit ended: systemd's word, exit code."""
    return {name: box.show(f"gateway-{name}@test", "Result", "ExecMainStatus") for name in PROCESSES}


def stopped(box):
    """Stops the appliance and waits until its units have ended."""
    box.shell("systemctl stop gateway@test.target")
    for name in PROCESSES:
        box.wait_for(f"{name} has ended", f"systemctl show -p ActiveState gateway-{name}@test | grep -qE 'inactive|failed'")


def start_again(box):
    """What docs/operating/bare-metal.md says to do after a latch."""
    box.shell("systemctl stop gateway-control@test")
    cleared = box.run(*COMMAND.split(), "kill", "--clear", "--config", "/etc/gateway/test.toml")
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


def test_removing_leaves_nothing_behind(deployed):
    played = deployed.play("remove.yml", "-e", "gateway_purge=true")
    assert played.failed == 0, played.output
    after = deployed.look()
    assert sorted(set(after) - set(deployed.before)) == []
    assert sorted(set(deployed.before) - set(after)) == []
    again = deployed.play("remove.yml", "-e", "gateway_purge=true")
    assert (again.failed, again.changed) == (0, 0), again.output
