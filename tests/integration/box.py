"""A Debian of its own beside this one: the testbed's image under systemd-nspawn, its own systemd in it, a venue next door.

 here                     namespace near: the box                 namespace far
 ansible-playbook ─ssh─►  sshd, systemd, gateway-*@ ── near0 ════ far0 ── gateway venue
 root of the box: an overlay on the image, thrown away at the end

Hard rule: the box shares the kernel with its host, so it is given no card, no huge page and no module to load.
"""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.far_end import Ends, ends
from vagrant.testbed.guest_tree import cache_folder

ROOT = Path(__file__).resolve().parent.parent.parent
ANSIBLE = ROOT / "vagrant" / "ansible"
KERNELS = cache_folder() / "box-kernels"
# what we run there by hand leaves its kernels where nobody looks
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "NUMBA_CACHE_DIR": "/tmp/kernels"}
BOOT_SECONDS, PLAY_SECONDS, RUN_SECONDS = 60.0, 900.0, 60.0
IMAGE_EXIT_MISSING = 4
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mount": "mount",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
}
# what every run of Ansible, apt or systemd writes by itself
NOT_OURS = ["/proc", "/sys", "/run", "/tmp", "/dev", "/var/log", "/var/tmp", "/root/.ansible"]
NOT_OURS += ["/var/lib/systemd", "/var/lib/apt", "/var/cache/apt", "/var/cache/ldconfig"]
LOOK = f"""
find / -xdev \\( {" -o ".join(f"-path {path}" for path in NOT_OURS)} \\) -prune -o -printf 'file %p %y %m %u %g\\n'
find /etc -xdev -type f ! -name '*-' -exec sha256sum {{}} +
getent passwd; getent group
systemctl list-unit-files --no-legend --no-pager
systemctl list-units --all --no-legend --no-pager --plain 'gateway*'
awk '{{print "mount", $2, $3}}' /proc/mounts | grep -v credentials
ls -A /dev/shm | sed 's/^/shared memory /'
ip -br link | awk '{{print "link", $1}}'
cat /proc/sys/vm/nr_hugepages
"""


def ansible(name: str) -> str:
    """A program of Ansible, from this Python's environment before the system's; skips where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; pip install ansible-core")
    return found


def ended(*words: str, seconds: float = RUN_SECONDS, **options: object) -> str:
    """The output of a program that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return str(done.stdout)


@dataclass(frozen=True)
class Played:
    """How a playbook ended."""

    changed: int
    failed: int
    output: str


class Box:
    """A running box; made by `boxes`."""

    def __init__(self, places: Ends, folder: Path, image: Path, leader: int):
        self.places, self.folder, self._image, self._leader = places, folder, image, leader

    def run(self, *words: str, seconds: float = RUN_SECONDS) -> "subprocess.CompletedProcess[str]":
        """A program in the box, to its end."""
        command = ["nsenter", "--target", str(self._leader), "--all", "--", *words]
        return subprocess.run(command, env=CLEAN, capture_output=True, text=True, timeout=seconds)

    def shell(self, script: str, seconds: float = RUN_SECONDS) -> str:
        """Output of a script in the box."""
        return self.run("bash", "-c", script, seconds=seconds).stdout

    def play(self, playbook: str, *words: str) -> Played:
        """One run of a playbook on the box."""
        hosts = self.folder / "hosts"
        hosts.write_text(
            f"box ansible_host=127.0.0.1 ansible_user=root ansible_ssh_private_key_file={self._image}/id_ed25519\n"
        )
        (self.folder / "ansible.cfg").write_text(
            "[defaults]\nhost_key_checking = False\ninterpreter_python = /usr/bin/python3\nnocolor = True\n"
            "[ssh_connection]\npipelining = True\n"
            "ssh_args = -o UserKnownHostsFile=/dev/null -o ControlPersist=60s -o ControlMaster=auto\n"
        )
        command = ["ip", "netns", "exec", self.places.near, ansible("ansible-playbook"), "-i", str(hosts)]
        done = subprocess.run(
            [*command, "-e", f"@{self.folder}/settings.yml", str(ANSIBLE / playbook), *words],
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "ANSIBLE_HOME": str(self.folder / "ansible"),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PLAY_SECONDS,
        )
        counts = {name: int(number) for name, number in re.findall(r"(changed|failed|unreachable)=(\d+)", done.stdout)}
        assert "changed" in counts, done.stdout + done.stderr
        return Played(counts["changed"], counts["failed"] + counts["unreachable"], done.stdout)

    def put_kernels(self) -> None:
        """What an earlier run compiled: numba knows a kernel by path, time and size of its source."""
        self.shell("find /opt/gateway/lib/python3*/site-packages/gateway -name '*.py' -exec touch -d @1700000000 {} +")
        if KERNELS.is_dir():
            shutil.copytree(KERNELS, self.folder / "root/var/cache/gateway", dirs_exist_ok=True)
            self.shell("chown -R gateway:gateway /var/cache/gateway")

    def keep_kernels(self) -> None:
        """For the next run; those of other sources go."""
        shutil.rmtree(KERNELS, ignore_errors=True)
        shutil.copytree(self.folder / "root/var/cache/gateway", KERNELS)

    def look(self) -> list[str]:
        """Everything that a role could leave behind, a line each."""
        return sorted(set(self.shell(LOOK).splitlines()))

    def show(self, unit: str, *names: str) -> list[str]:
        """Properties of a unit."""
        text = self.shell(f"systemctl show {unit} " + " ".join(f"-p {name}" for name in names))
        found = dict(line.partition("=")[::2] for line in text.splitlines())
        return [found[name] for name in names]

    def wait_for(self, what: str, script: str, seconds: float = RUN_SECONDS) -> None:
        """Until a script in the box succeeds."""
        deadline = time.monotonic() + seconds
        while self.run("bash", "-c", script).returncode != 0:
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        """What the appliance's units have said."""
        return self.shell("journalctl --no-pager --quiet --output=cat -u 'gateway*' | grep -v 'compiling kernels'")


@contextmanager
def boxes(folder: Path) -> Iterator[Box]:
    """A box, booted; processes, mounts and namespaces are gone afterwards."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' '.join(missing)}; as root: apt-get install {' '.join(missing)}")
    built = subprocess.run([ROOT / "vagrant/image/build"], stdout=subprocess.PIPE, text=True, timeout=1200)
    if built.returncode == IMAGE_EXIT_MISSING:
        pytest.skip("the testbed's image cannot be built here")
    assert built.returncode == 0
    image = Path(built.stdout.strip())
    with ends() as places, ExitStack() as stack:
        places.wire("af_packet", folder)
        root = mounted(stack, folder, image)
        prepare(root)
        yield Box(places, folder, image, booted(stack, places, root, folder))


def mounted(stack: ExitStack, folder: Path, image: Path) -> Path:
    """The image, read only, under a folder that takes what is written."""
    lower, upper, work, root = (folder / name for name in ("lower", "upper", "work", "root"))
    for path in (lower, upper, work, root):
        path.mkdir()
    for target, words in (
        (lower, ["-o", "loop,ro", str(image / "root.img")]),
        (root, ["-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay"]),
    ):
        done = subprocess.run(["mount", *words, str(target)], capture_output=True, text=True, timeout=RUN_SECONDS)
        if done.returncode != 0:
            pytest.skip(f"this kernel does not mount it: {done.stderr.strip()}")
        stack.callback(subprocess.run, ["umount", "--lazy", str(target)], timeout=RUN_SECONDS)
    return root


def prepare(root: Path) -> None:
    """The kernel is the host's, so its list of built-in modules has to name TUN; no huge pages are asked for."""
    modules = root / "lib/modules" / platform.release()
    modules.mkdir(parents=True, exist_ok=True)
    for name, text in {"order": "", "builtin": "kernel/drivers/net/tun.ko\n", "builtin.modinfo": ""}.items():
        (modules / f"modules.{name}").write_text(text)
    ended("chroot", str(root), "depmod", platform.release())
    ended("chroot", str(root), "systemctl", "--quiet", "mask", "dpdk.service")


def booted(stack: ExitStack, places: Ends, root: Path, folder: Path) -> int:
    """Starts systemd on it; its process number as the host sees it."""
    log = stack.enter_context((folder / "box.log").open("ab"))
    words = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--register=no", "--keep-unit", "--console=pipe"]
    words += [f"--network-namespace-path=/run/netns/{places.near}", f"--machine={places.near}"]
    words += ["--capability=CAP_NET_ADMIN"]  # io makes a TAP; it is the namespace's own
    words += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
    nspawn = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    stack.callback(power_off, nspawn)
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        assert nspawn.poll() is None, (folder / "box.log").read_text()
        for child in psutil.Process(nspawn.pid).children():
            states = ["nsenter", "--target", str(child.pid), "--all", "--", "systemctl", "is-system-running"]
            said = subprocess.run(states, capture_output=True, text=True, timeout=RUN_SECONDS).stdout.strip()
            if said in ("running", "degraded"):
                return child.pid
        time.sleep(0.2)
    raise AssertionError(f"the box did not boot: {(folder / 'box.log').read_text()}")


def power_off(nspawn: "subprocess.Popen[bytes]") -> None:
    """Ends the box, in order if it can."""
    if nspawn.poll() is None:
        nspawn.send_signal(signal.SIGTERM)  # systemd-nspawn(1): an orderly shutdown
        try:
            nspawn.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            nspawn.kill()  # and with it the box's first process
            nspawn.wait()
