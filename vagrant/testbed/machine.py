"""One guest under QEMU: started, spoken to over its second serial line, and ended; nothing else is.

      host                                            guest
      Machine ── agent.sock ══ ttyS1 ══ agent.py      PCI 10.0  virtio NIC of the data plane
              ── qmp.sock      (link up, link down)   vda root (snapshot)   vdb job (tar)   vdc tree (snapshot)

Hard rule: always emulated (`-accel tcg`), one at a time on a host, every wait bounded; QEMU dies with its parent.
"""

import contextlib
import ctypes
import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import CapabilityError, GatewayError
from vagrant.testbed.agent import ANSWER_SECONDS, GUEST_FILES, Guest, last_line
from vagrant.testbed.guest_tree import GuestTree, cache_folder

QEMU = "qemu-system-x86_64"
DATA_PLANE = "0000:00:10.0"
BOOT_SECONDS, END_SECONDS, LOCK_SECONDS = 180.0, 60.0, 1800.0  # on a busy host
CONNECT_SECONDS = 0.5
LAST_WORDS_SECONDS = 1.0  # for a QEMU that is about to end
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Hardware:
    """What differs from case to case."""

    netdev: str  # the words of -netdev but for the id
    iommu: bool = True  # emulated Intel IOMMU, for vfio-pci
    nic: str = ""  # more properties of the NIC, each with its comma in front
    memory_mib: int = 2048
    shared_memory: bool = False  # vhost-user: the host's process reads the guest's memory
    options: tuple[str, ...] = ()
    huge_pages: int = 96  # of 2 MiB, in the guest


@dataclass
class Machine(Guest):
    """A running guest; made by `machine`."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    log: Path
    boot_seconds: float = 0.0

    def last_words(self) -> str:
        """The last line of QEMU's log, or of the guest's console; whether QEMU has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LAST_WORDS_SECONDS)
        texts = [path.read_text(errors="replace") for path in (self.log, self.folder / "console") if path.exists()]
        words = last_line(next((text for text in texts if text.strip()), ""))
        code = self.process.returncode
        return words if code is None else f"QEMU ended (exit code {code}): {words}"

    def set_link(self, up: bool) -> None:
        """Pulls the data-plane NIC's cable, or puts it back (QMP, set_link)."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(ANSWER_SECONDS)
            monitor.connect(str(self.folder / "qmp.sock"))
            stream = monitor.makefile("rw")
            for command in ("qmp_capabilities", "set_link"):
                arguments = {"name": "nic", "up": up} if command == "set_link" else {}
                stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                stream.flush()
                while "return" not in (answer := json.loads(stream.readline())):
                    if "error" in answer:
                        raise GatewayError(f"QEMU: {answer['error']['desc']}")

    def end(self) -> int:
        """Lets the guest leave in order; its exit code."""
        self.say({"do": "end", "code": 0})
        line = self.hear(END_SECONDS)
        self.process.wait(END_SECONDS)
        return int(line.removeprefix("exit ")) if line.startswith("exit ") else 1


def job(folder: Path, tree: GuestTree) -> Path:
    """The tar of one run: the agent, the echo and where the tree is."""
    path = folder / "job.tar"
    texts = {"site": str(tree.folder), "environment.json": json.dumps(tree.environment)}
    with tarfile.open(path, "w") as archive:
        for source in sorted(GUEST_FILES.iterdir()):
            if source.is_file():
                archive.add(source, source.name)
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def words_of(hardware: Hardware, image: Path, tree: GuestTree, folder: Path) -> list[str]:
    """QEMU's command line."""
    memory = f"{hardware.memory_mib}M"
    command_line = f"root=/dev/vda rw console=ttyS0 quiet init=/usr/local/sbin/job hugepages={hardware.huge_pages}"
    words = [QEMU, "-accel", "tcg,thread=multi", "-M", "q35", "-cpu", "max", "-smp", "2", "-m", memory]
    words += ["-nodefaults", "-display", "none", "-no-reboot", "-no-user-config"]
    words += ["-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd.img"]
    words += ["-serial", f"file:{folder}/console"]
    words += ["-chardev", f"socket,id=agent,path={folder}/agent.sock,server=on,wait=off", "-serial", "chardev:agent"]
    words += ["-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off"]
    if hardware.shared_memory:
        words += ["-object", f"memory-backend-memfd,id=memory,size={memory},share=on", "-numa", "node,memdev=memory"]
    if hardware.iommu:
        command_line += " intel_iommu=on"
        words += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
    words += ["-append", command_line]
    drives = {"root": f"{image}/root.img", "job": str(job(folder, tree)), "site": str(tree.disk)}
    for name, path in drives.items():
        words += ["-drive", f"id={name},file={path},format=raw,if=none,snapshot=on"]
        words += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    guarded = ",iommu_platform=on,disable-legacy=on" if hardware.iommu else ""
    nic = f"virtio-net-pci,id=nic,netdev=data,addr=0x10,mac=02:00:00:00:00:10{guarded}{hardware.nic}"
    return [*words, *hardware.options, "-netdev", f"{hardware.netdev},id=data", "-device", nic]


def die_with_parent() -> None:
    """For preexec_fn: a testbed that is killed takes its guest along."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One guest at a time: emulation needs every processor of a small host."""
    lock = os.open(cache_folder() / "qemu.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                raise CapabilityError("another testbed runs on this host and does not end")
            time.sleep(0.5)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def machine(hardware: Hardware, image: Path, tree: GuestTree, folder: Path, prefix: list[str]) -> Iterator[Machine]:
    """Boots a guest and ends it, whatever happens meanwhile."""
    words = [*prefix, *words_of(hardware, image, tree, folder)]
    log = folder / "qemu.log"
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, preexec_fn=die_with_parent
        )
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(CONNECT_SECONDS)
    guest = Machine(line, folder, process, log)
    try:
        _connect(guest, began + BOOT_SECONDS)
        guest.wait_until_ready(began + BOOT_SECONDS - time.monotonic())
        guest.boot_seconds = round(time.monotonic() - began, 1)
        yield guest
    finally:
        line.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def _connect(guest: Machine, deadline: float) -> None:
    while True:
        with contextlib.suppress(OSError):
            guest.line.connect(str(guest.folder / "agent.sock"))
            return
        if guest.process.poll() is not None or time.monotonic() > deadline:
            raise GatewayError(f"QEMU does not start: {guest.last_words()}")
        time.sleep(0.05)
