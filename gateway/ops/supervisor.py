"""Control: makes the instance, starts its stage processes, writes its heartbeat, drains the journal, notices deaths.

      gateway run ─► Supervisor ─┬─► process io      dies: started again, its rings resume
                                 ├─► process core    dies: the kill latch is set, open orders are cancelled
                                 ├─► process session dies: started again, it logs in behind what it had (TCP orders only)
                                 ├─► process link    dies: started again, the region goes on alone meanwhile
                                 └─► journal file
      gateway run --process control ─► the same, but a service manager starts the others: joined.py

Hard rule: whatever fails here ends with the latch set or with the stages stopped, never with a core that trades alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import clock, layout, pipeline
from gateway.config import Configuration
from gateway.errors import AttachError, CapabilityError, ConfigurationError, GatewayError
from gateway.instance import Instance
from gateway.ops import disabled, kill, kill_file
from gateway.ops.appliance import order_frames
from gateway.ops.cancelling import cancel_all
from gateway.ops.dead_run import end_left_over, latch_left_behind, rescue_journal
from gateway.ops.joined import ENDED, Joined, require_apart, require_network
from gateway.ops.journal import Journal
from gateway.ops.kill_watch import KillWatch
from gateway.ops.limit_block import await_session, deny_new_risk, follow_hours, prepare_account
from gateway.ops.link_watch import LinkWatch
from gateway.ops.log import open_log
from gateway.ops.notification import Notification, without_notification
from gateway.ops.order_control import OrderControl
from gateway.ops.order_lines import OrderLines, SessionWatch
from gateway.ops.post_trade import PostTrade
from gateway.ops.privileges import hand_over, share, user_of
from gateway.ops.process import CONFIGURATION_FILE, HEARTBEATS, PROBLEM_FILES, problem_of
from gateway.ops.session_secret import VARIABLE

TICK_SECONDS = 0.02
START_SECONDS = 900.0  # the first start compiles kernels; a busy machine takes its time
CANCEL_SECONDS = 2.0  # of an orderly stop: the venue confirms within it, or the summary says what is open
STOP_SECONDS = 2.0
RESTARTS_MAX = 5  # of one process
STOP_JOINED_SECONDS = 10.0  # they end by themselves; a signal from us would look like a failure to their manager


class Supervisor:
    """One running appliance."""

    def __init__(self, configuration: Configuration, joined: bool = False):
        if joined:
            require_apart(configuration)
            require_network(configuration)
        self.joined = joined  # the stages are started by a service manager
        self.notification = Notification()
        self.user = user_of(configuration)
        self.configuration = configuration
        self.state = configuration.state_folder
        self.children: dict[str, subprocess.Popen[bytes] | Joined] = {}
        self.restarts: dict[str, int] = {}
        if configuration.strategy.file:
            configuration.require_limits()
        left = latch_left_behind(configuration)
        if left:
            kill_file.set_latch(self.state, f"{left}, in a run whose control died")
        why = kill_file.reason(self.state)
        if why is not None:
            raise GatewayError(f"the kill latch is set ({why}); look why, then clear it with: gateway kill --clear")
        kill_file.prepare(self.state)
        self.log = open_log(configuration, "control")
        self.watch = SessionWatch()
        parent = Path(configuration.instance.folder)
        self.instance = Instance.create(configuration.instance.name, parent, settle=self._settle_dead_run)
        self._beat = self.instance.control[0]["heartbeats"][layout.value("PROCESS_CONTROL")]
        self._halted = False
        self._latch_told = False
        self.kill_watch: KillWatch | None = None
        try:
            self._prepare(configuration)
        except BaseException:
            self.instance.close(remove=True)
            raise

    def _settle_dead_run(self, folder: Path) -> None:
        """What a run whose control died has left: its processes end, its journal is written to its end."""
        end_left_over(folder)
        if records := rescue_journal(folder, self.configuration.journal_folder):
            self.log.warning("journal_rescued", f"{records} records of the dead run went into its journal", records=records)

    def _prepare(self, configuration: Configuration) -> None:
        """What stands in the instance's folder before a stage is started."""
        document = json.dumps(configuration.model_dump(mode="json", by_alias=True))
        (self.instance.folder / CONFIGURATION_FILE).write_text(document)
        prepare_account(self.instance, configuration, clock.now_ns(self.instance.clock_address))
        disabled.restore(self.instance, configuration)
        self.frames = order_frames(configuration)
        if self.frames.process == "PROCESS_SESSION":
            await_session(self.instance)
        self.order_control = OrderControl(self.instance, configuration, self.frames, self.log)
        compared = self.order_control.reconciliation if self.order_control.copy is not None else None
        self.post_trade = PostTrade(self.instance, configuration, compared, self._tell_control)
        self.journal = Journal(self.instance, configuration.journal_folder, configuration)
        if configuration.log.orders != "none":
            self.journal.observers.append(OrderLines(self.log, everything=configuration.log.orders == "all"))
        self.kill_watch = KillWatch(self.instance, configuration, lambda text: self.log.error("kill", text))
        self.journal.observers.append(self.post_trade.observe)
        self.link_watch = LinkWatch(self.instance, configuration, self.log, self.notification)
        for name in PROBLEM_FILES:
            (self.instance.folder / name).touch()
        if self.user is not None:
            hand_over(self.instance.folder, self.user)
        if group := configuration.privileges.group:  # last: who may join finds everything there
            share(self.instance.folder, group, readable=(CONFIGURATION_FILE,), writable=PROBLEM_FILES)

    @property
    def stages(self) -> list[str]:
        """The processes to run, each a comma-separated list of stages."""
        names = [stage.name for stage in pipeline.STAGES]
        beside = [pipeline.SESSION.name] if self.frames.process == HEARTBEATS[pipeline.SESSION.name] else []
        beside += [pipeline.LINK.name] if self.configuration.link.enabled else []
        return [*([",".join(names)] if self.configuration.placement.together else names), *beside]

    def start(self, waiting: Callable[[], bool] = lambda: True) -> None:
        """Starts every process and returns once all of them run but the link: nobody waits for that.

        `waiting` is called while they come up; when it says False nothing more is started, and `stop` is next.
        """
        self.beat()
        self._beat["pid"] = os.getpid()
        # Others start all of them, and we look before the first may come. Else the order session first: it needs nobody,
        # and a kill during the start needs it. core before io: it compiles its kernels before frames arrive.
        for name in self.stages:
            if self.joined or name == pipeline.SESSION.name:
                self._spawn(name)
        self._beat["state"] = layout.value("PROCESS_RUNNING")
        for name in sorted(self.stages):
            if name not in self.children:
                self._spawn(name)
            if name != pipeline.LINK.name and not self._wait_running(name, waiting):
                return

    def _spawn(self, name: str) -> None:
        if self.joined:
            self.children[name] = Joined(self.instance, self._heartbeat_of(name), name)
            return
        command = [sys.executable, "-m", "gateway.ops.process", str(self.instance.folder), name]
        # control leaves in order; Ctrl-C in a terminal must not reach the stages before it
        try:
            self.children[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True, **self._surroundings(name)
            )
        except PermissionError:
            who = self.configuration.privileges.user or "this user"
            raise CapabilityError(f"{who} cannot run {sys.executable}; install the project below /opt") from None

    def _surroundings(self, name: str) -> dict[str, Any]:
        """Environment and user of a stage: core is its user's from the first instruction, io becomes it later."""
        environment = without_notification()
        if name != pipeline.SESSION.name:
            environment.pop(VARIABLE, None)
        if self.user is None or name != "core":
            return {"env": environment}
        groups = os.getgrouplist(self.user.pw_name, self.user.pw_gid)
        environment |= {"HOME": self.user.pw_dir}
        return {"env": environment, "user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": groups}

    def _heartbeat_of(self, name: str) -> object:
        return self.instance.control[0]["heartbeats"][layout.value(HEARTBEATS[name.partition(",")[0]])]

    def _wait_running(self, name: str, waiting: Callable[[], bool] = lambda: True) -> bool:
        deadline = time.monotonic() + START_SECONDS
        running = layout.value("PROCESS_RUNNING")
        while self._heartbeat_of(name)["state"] != running:  # type: ignore[index]
            code = self.children[name].poll()
            if code == 0 and self._input_ended():
                return True
            if code is not None:
                problem = _start_error(name, code, self.instance.folder)
                self.stop()
                raise problem
            if time.monotonic() > deadline:
                self.stop()
                raise GatewayError(f"{name} did not start within {START_SECONDS:.0f} s")
            self.beat()
            if not waiting():
                return False
            time.sleep(TICK_SECONDS)
        return True

    def _input_ended(self) -> bool:
        return bool(self.instance.counters[0]["io"]["end_of_input"])

    def beat(self) -> None:
        """Control's sign of life, and its eye on the kill switch."""
        self.notification.feed()
        self._beat["turns"] += 1
        self._beat["time_ns"] = clock.now_ns(self.instance.clock_address)
        if self.kill_watch is not None:
            self.kill_watch.poll()

    def tick(self) -> None:
        """One turn of control: heartbeat, kill switch, journal, dead children."""
        self._live()
        self.watch.follow(self.instance, self.log)
        self.order_control.tick()
        follow_hours(self.instance, self.configuration, clock.now_ns(self.instance.clock_address))
        for name in disabled.follow(self.instance, self.configuration):
            text = f"strategy {name} is disabled by REPEAT; look why, then: gateway enable CONFIG {name}"
            self.log.warning("strategy_disabled", text, strategy=name)
        self.post_trade.tick(clock.now_ns(self.instance.clock_address))
        self.link_watch.end_hung(self.children.get(pipeline.LINK.name))
        for name, child in list(self.children.items()):
            code = child.poll()
            if code is not None:
                self._on_death(name, code)
        if link := self.link_watch.came_back():
            self.children[pipeline.LINK.name], self.restarts[pipeline.LINK.name] = link, 0
        if self.instance.counters[0]["core"]["strategy_faults"] and not self._halted:
            self._halted = True
            self.log.error("strategy_halted", "the strategy raised and is halted; nothing asks it again")
        self._tell_latch()

    def _tell_latch(self) -> None:
        """A latch is the first thing that the service manager shows of this appliance."""
        latch = int(self.instance.control[0]["kill_latch"])
        if latch and not self._latch_told:
            self._latch_told = True
            reason = layout.names("kill_reason", "KILL_")[latch]
            self.notification.say(
                f"STATUS=kill latch {reason}: no new order leaves; look why, stop, gateway kill --clear, start"
            )

    def _tell_control(self, line: str) -> None:
        self.log.warning("post_trade", line)

    def _live(self) -> None:
        """Heartbeat and journal: what goes on whatever else control waits for."""
        self.beat()
        self.journal.drain(clock.now_ns(self.instance.clock_address))

    def _on_death(self, name: str, code: int) -> None:
        pid = self.children.pop(name).pid
        if code == 0 and self._input_ended():
            return  # a recording has ended, and with it every stage in its turn
        self.log.error("process_ended", f"process {name} ended ({_ending(code)})", ended=name, code=code)
        beat: Any = self._heartbeat_of(name)
        followed = int(beat["pid"]) not in (0, pid)  # by one that a kill has started, who took us for dead
        if not followed:
            beat["state"] = layout.value("PROCESS_STOPPED")
        if "core" in name:  # kill_watch.py cancels and closes
            kill.latch(self.instance, "KILL_CORE_DIED")
            self.beat()
        if name == pipeline.SESSION.name:
            if not followed:
                self.instance.control[0]["session_connection"] = 0
            self._restart(name)
        if name == pipeline.LINK.name:
            self._restart_link(name)
        if "io" in name.split(","):
            self._restart("io")

    def _restart_link(self, name: str) -> None:
        """Nobody waits for the link, and nothing stops for it: what keeps it from running keeps the region from nothing."""
        self.restarts[name] = self.restarts.get(name, 0) + 1
        mend = f"systemctl start gateway-link@{self.instance.name}" if self.joined else "gateway link CONFIG"
        if self.link_watch.goes_on(self.restarts[name], RESTARTS_MAX, mend):
            self._spawn(name)

    def _restart(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        if self.restarts[name] > RESTARTS_MAX:
            raise GatewayError(f"{name} ended {RESTARTS_MAX + 1} times; its lines above say why")
        self._spawn(name)
        self._wait_running(name)

    def alive(self) -> bool:
        """Whether anything is left to supervise."""
        return bool(self.children)

    def stop(self) -> None:
        """Cancels what is open, stops the loops, writes the journal to its end, removes the shared folder."""
        try:
            self._end_starting()
            if self.children:
                deny_new_risk(self.instance)
            if self.kill_watch is not None:
                self.kill_watch.finish(self._live, TICK_SECONDS)
            if self.children:
                with contextlib.suppress(AttachError):
                    cancel_all(self.instance, self.frames, self.state, CANCEL_SECONDS, self._live)
            self.instance.control[0]["stop"] = 1
            deadline = time.monotonic() + (STOP_JOINED_SECONDS if self.joined else STOP_SECONDS)
            while any(child.poll() is None for child in self.children.values()) and time.monotonic() < deadline:
                self._live()
                time.sleep(TICK_SECONDS)
        finally:
            for child in self.children.values():
                end_process(child)
            self.children.clear()
            self.order_control.close()
            if self.kill_watch is not None:
                self.kill_watch.close()
            try:
                if self.journal.is_open:
                    self.journal.drain(clock.now_ns(self.instance.clock_address))
            finally:
                self.journal.close()
                self.post_trade.close()

    def _end_starting(self) -> None:
        """A process that is still compiling hears of no stop word."""
        for name, child in list(self.children.items()):
            if self._heartbeat_of(name)["state"] != layout.value("PROCESS_RUNNING"):  # type: ignore[index]
                end_process(child)
                del self.children[name]

    def close(self) -> None:
        """Removes the shared folder; views onto it are gone after this."""
        self.instance.close(remove=True)
        self.log.close()


def _ending(code: int) -> str:
    if code == ENDED:
        return "its unit knows how: systemctl status"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _start_error(name: str, code: int, folder: Path) -> GatewayError:
    kinds = {3: ConfigurationError, 4: CapabilityError}
    why = problem_of(folder, name) or "its lines above say why"
    return kinds.get(code, GatewayError)(f"process {name} could not start ({_ending(code)}): {why}")


def end_process(child: "subprocess.Popen[bytes] | Joined", patience_seconds: float = 2.0) -> None:
    """Ends a child we started: asks, waits, insists. A stopped child is continued first so that it can leave."""
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.terminate()
        try:
            child.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
