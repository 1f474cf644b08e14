"""Units and role: what systemd and Ansible themselves say of them, and what each process is granted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import pipeline
from gateway.cli.main import make_parser
from gateway.ops.cards import USER_DRIVERS
from tests.integration.box import ansible

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "vagrant" / "ansible"
ROLE = ANSIBLE / "roles" / "gateway"
FILES = ROLE / "files"
PROCESSES = ("control", "io", "core", "session", "link")
USERS = {"control": "gateway", "core": "gateway", "io": "gateway-io", "session": "gateway-session"}
USERS["link"] = "gateway-link"
EXPOSURE_MAX = {
    "control": 12,
    "core": 10,
    "io": 35,
    "session": 20,
    "link": 20,
    "keyd": 10,
}  # tenths, systemd-analyze(1) security


def unit_of(process: str) -> str:
    """Of each appliance there is one; keyd serves a host."""
    return "gateway-keyd.service" if process == "keyd" else f"gateway-{process}@.service"


def settings(process: str) -> dict[str, list[str]]:
    """Every key of a unit with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (FILES / unit_of(process)).read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as instances of one appliance, starting a program that is here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for path in [*FILES.glob("*.service"), *FILES.glob("*.target")]:
        text = path.read_text().replace("/opt/gateway/bin/gateway", "/bin/true")
        (tmp_path / path.name.replace("@.", "@x.")).write_text(text)
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(units):
    names = sorted(path.name for path in units.iterdir())
    for name, drop_in in (
        ("io@x", "uio.conf"),
        ("control@x", "network.conf"),
        ("keyd", "keyd-network.conf"),
        ("link@x", "realtime.conf"),
    ):
        (units / f"gateway-{name}.service.d").mkdir()
        shutil.copy(FILES / drop_in, units / f"gateway-{name}.service.d")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        cwd=units,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "gateway" in line]
    assert len(names) == 7 and not said


@pytest.mark.parametrize("process", EXPOSURE_MAX)
def test_the_exposure_of_each_unit_stays_where_it_was_measured(units, process):
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX[process]}"]
    done = subprocess.run(
        [*words, f"{units}/{unit_of(process).replace('@', '@x')}"], capture_output=True, text=True, timeout=60
    )
    if "nrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


@pytest.mark.parametrize("process", PROCESSES)
def test_each_unit_runs_its_process_as_its_user_and_is_watched(process):
    unit = settings(process)
    command = unit["ExecStart"][0].split()
    parser, _ = make_parser(command[1:])
    assert parser.parse_args(command[1:]).process == process
    assert (
        unit["User"] == [USERS[process]]
        and unit["Group"] == ["gateway"]
        and unit["Type"] == ["notify"]
        and int(unit["WatchdogSec"][0]) >= 5
    )
    assert unit["NoNewPrivileges"] == ["yes"] and unit["ProtectSystem"] == ["strict"]
    assert "CPUAffinity" not in unit  # the configuration says it, the loop does it


def test_only_io_and_control_are_granted_anything_and_only_who_sends_is_started_again():
    granted = {process: settings(process)["AmbientCapabilities"][0] for process in PROCESSES}
    io = "CAP_NET_ADMIN CAP_NET_RAW CAP_SETPCAP"
    assert granted == {"control": "CAP_KILL", "core": "", "io": io, "session": "", "link": ""}
    assert all(settings(name)["CapabilityBoundingSet"] == settings(name)["AmbientCapabilities"] for name in PROCESSES)
    assert {name: settings(name)["Restart"][0] for name in PROCESSES} == {
        "control": "no",
        "core": "no",
        "io": "on-failure",
        "session": "on-failure",
        "link": "on-failure",
    }


def test_the_password_of_the_session_reaches_session_and_a_control_with_a_network_only():
    secret = "-/etc/gateway/%i.session"
    assert {name for name in PROCESSES if secret in settings(name)["EnvironmentFile"]} == {"session"}
    assert f"EnvironmentFile={secret}" in (FILES / "network.conf").read_text()
    assert "no_log: true" in (ROLE / "tasks" / "configure.yml").read_text()


def test_only_io_session_and_link_have_a_network_and_control_when_it_is_asked_for():
    alone = {name for name in PROCESSES if settings(name).get("PrivateNetwork") == ["yes"]}
    assert alone == {"control", "core"}
    assert (
        settings("session")["RestrictAddressFamilies"] == settings("link")["RestrictAddressFamilies"] == ["AF_UNIX AF_INET"]
    )
    assert "PrivateNetwork=no" in (FILES / "network.conf").read_text()


def test_the_files_of_two_users_never_lie_in_one_folder_that_systemd_hands_over():
    owners: dict[str, set[str]] = {}
    for key in ("CacheDirectory", "StateDirectory", "RuntimeDirectory"):  # it gives them, whole, to whose unit starts last
        for name in (*PROCESSES, "keyd"):
            for folder in settings(name).get(key, []):
                owners.setdefault(f"{key} {folder.split('/')[0]}", set()).update(settings(name)["User"])
    assert owners["StateDirectory gateway-link"] == {"gateway-link"} and all(len(users) == 1 for users in owners.values())
    assert "GATEWAY__PRIVILEGES__GROUP=gateway" in settings("control")["Environment"]


def test_the_link_runs_where_it_is_named_keeps_its_files_to_itself_and_may_not_write_the_gate():
    target = (FILES / "gateway@.target").read_text()
    assert "link" not in target and "WantedBy=gateway@%i.target" in (FILES / "gateway-link@.service").read_text()
    assert 'enabled: "{{ item in gateway_links }}"' in (ROLE / "tasks" / "start.yml").read_text()
    state = "GATEWAY__LINK__STATE=/var/lib/gateway-link/%i"
    assert {name for name in PROCESSES if any(state in line for line in settings(name)["Environment"])} == {
        "control",
        "link",
    }
    assert settings("link")["StateDirectoryMode"] == settings("link")["CacheDirectoryMode"] == ["0700"]
    assert not {"gate", "orders", "holdings", "post_trade", "counters"} & pipeline.writable_by("link")


def test_the_key_service_sees_no_appliance_and_reaches_no_network_unless_it_listens_there():
    unit = settings("keyd")
    assert unit["User"] == unit["Group"] == ["gateway-keyd"] and "SupplementaryGroups" not in unit
    hidden = unit["InaccessiblePaths"][0].split()
    assert {"-/dev/shm", "-/etc/gateway", "-/var/lib/gateway", "-/var/lib/gateway-link"} <= set(hidden)
    assert unit["PrivateNetwork"] == unit["MemoryDenyWriteExecute"] == ["yes"] and unit["CapabilityBoundingSet"] == [""]
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX"] and "PrivateUsers" not in unit, "the kernel vouches for user ids"
    words = unit["ExecStart"][0].replace("$GATEWAY_KEYD_WORDS", "--allow 0=1").split()[1:]
    parser, _ = make_parser(words)
    asked = parser.parse_args(words)
    assert asked.root.is_relative_to(f"/var/lib/{unit['StateDirectory'][0]}")
    assert asked.socket.is_relative_to(f"/run/{unit['RuntimeDirectory'][0]}")


def test_every_secret_that_the_role_writes_is_its_readers_alone_and_never_shown():
    found = {}
    for task in (ROLE / "tasks" / "configure.yml").read_text().split("\n- name: "):
        if 'mode: "0600"' in task:
            assert "no_log: true" in task, task
            path, owner = re.findall(r'dest: "?([^"\n]+)', task), re.findall(r"owner: (\S+)", task)
            found[path[0].rpartition("/")[2].rpartition(".")[2]] = owner[0]
    assert found == {"session": "root", "key": "gateway-link", "passphrase": "gateway-keyd"}


def test_control_is_stopped_before_those_through_whom_it_cancels():
    after = " ".join(settings("control")["After"])
    assert all(f"gateway-{name}@%i.service" in after for name in ("io", "core", "session", "link"))
    for name in ("io", "core", "session", "link"):  # systemd stops in the reverse of After=, and refuses circles
        assert "gateway-control" not in " ".join(settings(name).get("After", []) + settings(name).get("Requires", []))


def test_what_the_role_puts_on_a_host_it_takes_away_again():
    put = "".join((ROLE / "tasks" / f"{name}.yml").read_text() for name in ("install", "configure", "kernel"))
    removed = (ROLE / "tasks" / "remove.yml").read_text()
    paths = set(re.findall(r"(?:dest|path): \"?(/etc/[\w./@-]+)", put)) - {"/etc/gateway/environment", "/etc/gateway/"}
    assert "gateway-{{ item.1 }}@{{ item.0.path | basename | splitext | first }}.service.d" in removed
    assert "product(['control', 'link'])" in removed
    users = re.findall(r"loop: \[(gateway[\w, -]+)\]", put)
    assert users and set(users[0].split(", ")) == set(USERS.values())
    assert {"gateway-keyd", *USERS.values()} <= set(re.findall(r"loop: \[([\w, -]+)\]", removed)[-2].split(", "))
    units = {f"/etc/systemd/system/{path.name}" for path in FILES.glob("gateway*")}
    for path in {*paths - {"/etc/systemd/system/"}, *units}:
        assert path in removed or str(Path(path).parent) in removed, path


def test_the_drivers_that_the_role_knows_are_those_that_a_card_can_be_bound_to():
    text = (ROLE / "defaults" / "main.yml").read_text() + (ROLE / "tasks" / "configure.yml").read_text()
    assert set(re.findall(r"vfio-pci|uio_pci_generic|igb_uio", text)) <= set(USER_DRIVERS)


@pytest.fixture(scope="module")
def run_ansible(tmp_path_factory):
    """Runs a program of Ansible to its end, with a folder of its own for what it writes."""
    own = {"ANSIBLE_HOME": str(tmp_path_factory.mktemp("ansible")), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    environment = {**os.environ, **own}

    def run(name: str, *words: str) -> str:
        command = [ansible(name), "-i", "localhost,", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


@pytest.mark.parametrize("playbook", ["deploy.yml", "remove.yml"])
def test_ansible_reads_the_playbooks(run_ansible, playbook):
    run_ansible("ansible-playbook", "--syntax-check", str(ANSIBLE / playbook))


@pytest.mark.slow
def test_the_unit_of_the_host_gives_back_what_it_takes(run_ansible, tmp_path):
    path = tmp_path / "gateway-host.service"
    run_ansible(
        *("ansible", "localhost", "-c", "local", "-e", f"@{ROLE}/defaults/main.yml", "-m", "template"),
        *(
            "-e",
            '{"gateway_huge_pages": 64, "gateway_cards": {"0000:3b:00.0": "vfio-pci", "0000:5e:00.1": "uio_pci_generic"}}',
        ),
        *("-a", f"src={ROLE}/templates/gateway-host.service.j2 dest={path}"),
    )
    text = path.read_text()
    commands = re.findall(r"^(Exec\w+)=-?(\S+) (.*)$", text, re.MULTILINE)
    assert commands == [
        ("ExecStart", "/sbin/modprobe", "-a tun vfio-pci uio_pci_generic"),
        ("ExecStart", "/opt/gateway/bin/gateway", "tune --apply --huge-pages 64"),
        ("ExecStart", "/opt/gateway/bin/gateway", "nic bind 0000:3b:00.0 --driver vfio-pci"),
        ("ExecStart", "/opt/gateway/bin/gateway", "nic bind 0000:5e:00.1 --driver uio_pci_generic"),
        ("ExecStop", "/opt/gateway/bin/gateway", "nic unbind 0000:3b:00.0"),
        ("ExecStop", "/opt/gateway/bin/gateway", "nic unbind 0000:5e:00.1"),
        ("ExecStop", "/opt/gateway/bin/gateway", "tune --undo"),
        ("ExecStop", "/sbin/modprobe", "-q -r tun vfio-pci uio_pci_generic"),
    ]
    for _, program, words in commands:
        if program.endswith("gateway"):
            parser, _ = make_parser(words.split())
            assert parser.parse_args(words.split())
