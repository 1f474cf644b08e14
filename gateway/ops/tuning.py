"""Settings of the kernel that a trading host wants: huge pages, interrupts away from the loops' processors, the governor.

    plan(host, …) ─► changes ─► apply ─► state file ─► undo

Hard rule: every change is listed with the value before and after; what was is on disk before the first write, and undo
writes exactly that back.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.errors import CapabilityError, UsageError
from gateway.ops.host import Host

HUGE_PAGES = "proc/sys/vm/nr_hugepages"
INTERRUPTS = "proc/irq"
GOVERNORS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Change:
    """One file of the kernel: its value now, and the value it is to have."""

    path: str
    before: str
    after: str


def parse_processors(text: str) -> set[int]:
    """`"2,4-5"` → {2, 4, 5}. Raises UsageError."""
    found: set[int] = set()
    try:
        for part in filter(None, text.split(",")):
            first, dash, last = part.partition("-")
            found |= set(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        raise UsageError(f"processors {text!r}: write them as 2,4-5") from None
    return found


def processors_text(processors: Iterable[int]) -> str:
    """{2, 4, 5} → "2,4,5"."""
    return ",".join(str(processor) for processor in sorted(processors))


def plan(host: Host, huge_pages: int | None, quiet: set[int], governor: str) -> list[Change]:
    """What would change: at least `huge_pages` huge pages, no interrupt on the `quiet` processors, this governor."""
    changes: list[Change] = []
    if huge_pages is not None:
        before = host.read(HUGE_PAGES)
        if before.isdigit() and int(before) < huge_pages:
            changes.append(Change(HUGE_PAGES, before, str(huge_pages)))
    if quiet:
        changes += _interrupts(host, quiet)
    if governor:
        changes += _governors(host, governor)
    return changes


def _interrupts(host: Host, quiet: set[int]) -> list[Change]:
    everywhere = parse_processors(host.read("sys/devices/system/cpu/online"))
    if quiet - everywhere:
        raise UsageError(f"no processor {processors_text(quiet - everywhere)} here; there are {processors_text(everywhere)}")
    rest = everywhere - quiet
    if not rest:
        raise UsageError(f"processors {processors_text(quiet)} are all there are; leave one for interrupts")
    changes = []
    for path in _sorted((host.root / INTERRUPTS).glob("[0-9]*/smp_affinity_list"), host.root):
        before = host.read(path)
        now = parse_processors(before) & everywhere
        if now & quiet:
            changes.append(Change(path, before, processors_text(now - quiet or rest)))
    return changes


def scales(host: Host) -> bool:
    """Whether a processor of this host has a frequency governor."""
    return any((host.root / GOVERNORS).glob("cpu[0-9]*/cpufreq/scaling_governor"))


def _governors(host: Host, governor: str) -> list[Change]:
    changes = []
    for path in _sorted((host.root / GOVERNORS).glob("cpu[0-9]*/cpufreq/scaling_governor"), host.root):
        offered = host.read(path.replace("scaling_governor", "scaling_available_governors")).split()
        if offered and governor not in offered:
            raise UsageError(f"governor {governor}: this kernel offers {', '.join(offered)}")
        if host.read(path) != governor:
            changes.append(Change(path, host.read(path), governor))
    return changes


def _sorted(paths: Iterable[Path], root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in paths)


class Tuning:
    """Applies plans and takes them back; `state` is the folder of the file that remembers."""

    def __init__(self, host: Host, state: Path):
        self.host = host
        self.file = state / "tuning.json"

    def apply(self, changes: list[Change]) -> list[tuple[Change, str]]:
        """Makes the changes; (change, '' or why it was not taken) each. What was first is what undo returns to."""
        kept = {change.path: change for change in self.applied()}
        for change in changes:
            kept[change.path] = Change(change.path, kept.get(change.path, change).before, change.after)
        self._save(list(kept.values()))
        return [(change, self._write(change.path, change.after)) for change in changes]

    def undo(self) -> list[tuple[Change, str]]:
        """Writes back what was before the first `apply`; forgets what went back."""
        rows = [Change(change.path, change.after, change.before) for change in self.applied()]
        outcomes = [(change, self._write(change.path, change.after)) for change in rows]
        self._save([Change(change.path, change.after, change.before) for change, problem in outcomes if problem])
        return outcomes

    def applied(self) -> list[Change]:
        """The changes that undo would take back."""
        try:
            return [Change(**row) for row in json.loads(self.file.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def _write(self, path: str, text: str) -> str:
        try:
            (self.host.root / path).write_text(text + "\n")
        except OSError as problem:
            return str(problem.strerror)
        now = self.host.read(path)
        return "" if now == text or parse_or_none(now) == parse_or_none(text) is not None else f"the kernel made it {now}"

    def _save(self, changes: list[Change]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if changes:
                self.file.write_text(json.dumps([asdict(change) for change in changes]))
            else:
                self.file.unlink(missing_ok=True)
        except OSError as problem:
            raise CapabilityError(f"{self.file}: {problem.strerror}; run it as root") from problem


def parse_or_none(text: str) -> set[int] | None:
    """The processors a text lists; None when it is no such list."""
    try:
        return parse_processors(text)
    except UsageError:
        return None
