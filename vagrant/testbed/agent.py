"""The host's end of a guest's agent, whatever the line: QEMU's serial port, or ssh into a Vagrant machine.

      host: Guest ══ ttyS1 or ssh ══ guest/agent.py: guest      one JSON request a line, one JSON answer a line

Hard rule: every wait is bounded, and says what the guest said last.
"""

import contextlib
import json
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError

ANSWER_SECONDS = 120.0  # on a busy host
GUEST_FOLDER = "/run/job"  # where guest/ lies in every guest
GUEST_FILES = Path(__file__).with_name("guest")


@dataclass(frozen=True)
class Outcome:
    """How a program in the guest ended (code None: it runs) and what it said."""

    code: int | None
    out: str
    err: str

    def json(self) -> Any:
        """Its output as one JSON value; raises GatewayError with what it said instead."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise GatewayError(
                f"no JSON from the guest (exit code {self.code}): {last_line(self.err or self.out)}"
            ) from None

    def json_line(self) -> Any:
        """The last line of its output as one JSON value."""
        return Outcome(self.code, last_line(self.out), self.err).json()


def last_line(text: str) -> str:
    """The last line that says anything."""
    return ([line for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]


@dataclass
class Guest:
    """A guest whose agent listens at the other end of `line`."""

    line: socket.socket
    _rest: bytes = field(default=b"", init=False, repr=False)

    def last_words(self) -> str:
        """Why it may have fallen silent."""
        return "it said nothing"

    def hear(self, seconds: float) -> str:
        """The next line of the agent."""
        deadline = time.monotonic() + seconds
        self.line.settimeout(0.5)
        while b"\n" not in self._rest:
            if time.monotonic() > deadline:
                raise GatewayError(f"the guest did not answer within {seconds:.0f} s: {self.last_words()}")
            with contextlib.suppress(TimeoutError):
                part = self._receive()
                if not part:
                    raise GatewayError(f"the guest is gone: {self.last_words()}")
                self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _receive(self) -> bytes:
        try:
            return self.line.recv(1 << 16)
        except ConnectionError:
            return b""

    def say(self, request: dict[str, Any]) -> None:
        """One request."""
        try:
            self.line.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise GatewayError(f"the guest is gone: {self.last_words()}") from None

    def wait_until_ready(self, seconds: float) -> None:
        """Until the agent is up; what comes before it is passed over."""
        deadline = time.monotonic() + seconds
        while "ready" not in self.hear(deadline - time.monotonic()):
            pass

    def ask(self, patience_seconds: float = ANSWER_SECONDS, **request: Any) -> dict[str, Any]:
        """One request to the agent and its answer."""
        self.say(request)
        answer = json.loads(self.hear(patience_seconds))
        if "problem" in answer:
            raise GatewayError(f"the guest's agent: {answer['problem']}")
        return dict(answer)

    def run(self, *words: str, seconds: float = ANSWER_SECONDS) -> Outcome:
        """A program in the guest, to its end."""
        return Outcome(**self.ask(seconds + ANSWER_SECONDS, do="run", words=words, seconds=seconds))

    def gateway(self, *words: str, seconds: float = ANSWER_SECONDS) -> Outcome:
        """A verb of `gateway` in the guest."""
        return self.run("python3", "-m", "gateway.cli.main", *words, seconds=seconds)

    def start(self, name: str, *words: str) -> int:
        """A program that goes on; its process number."""
        return int(self.ask(do="start", name=name, words=words)["pid"])

    def look(self, name: str) -> Outcome:
        """What a started program has said so far."""
        return Outcome(**self.ask(do="look", name=name))

    def wait(self, name: str, *texts: str, seconds: float = ANSWER_SECONDS) -> Outcome:
        """Until a started program has said one of `texts`, or has ended where there is none; raises GatewayError else."""
        deadline = time.monotonic() + seconds
        while True:
            outcome = self.look(name)
            said = outcome.out + outcome.err
            if any(text in said for text in texts) or (not texts and outcome.code is not None):
                return outcome
            if outcome.code is not None:
                raise GatewayError(f"{name} in the guest ended (exit code {outcome.code}): {last_line(outcome.err)}")
            if time.monotonic() > deadline:
                raise GatewayError(f"{name} in the guest: waited {seconds:.0f} s in vain: {last_line(outcome.err)}")
            time.sleep(0.1)

    def signal(self, name: str = "", number: int = signal.SIGTERM, pid: int = 0) -> None:
        """Sends a signal in the guest."""
        self.ask(do="signal", name=name, pid=pid, number=int(number))
