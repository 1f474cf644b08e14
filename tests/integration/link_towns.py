"""Paris and Frankfurt whole: keyd, keys, signed files, the demo's appliance in one namespace, a mirror of it in the other.

 keyd ── unix socket ──┬───────────────────────────────┬
 gwlp: Paris           │   gwlr: relay                 │  gwlf: Frankfurt
 venue ─ pair ─ io, core ─ link ══════ faults ══════ link ─ core: feed "link"

Hard rule: the two share nothing but the line and the key service; everything is gone when the context ends.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import layout
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.link.keys import static_key
from gateway.link.rights import signed_file
from gateway.ops.demo import Demo, DemoOptions, appliance_books
from gateway.ops.wiring import Wiring
from tests.link_pair import PORT
from tests.link_spaces import FRANKFURT, PARIS, ROOT, finish

START_SECONDS = 900
STREAMS = ["market_data", "snapshots", "executions"]
ROLES = """version = 1
[roles.gateway]
bit = 0
streams = ["all"]
[principals.paris]
roles = ["gateway"]
nodes = [1]
[principals.frankfurt]
roles = ["gateway"]
nodes = [2]
"""
ADDRESSES = f"""version = 1
[peers.1]
allow = ["{PARIS}/32", "127.0.0.1/32"]
[peers.2]
allow = ["{FRANKFURT}/32", "127.0.0.1/32"]
"""
RUNNING = layout.value("PROCESS_RUNNING")


def command(*words):
    """A verb of the gateway."""
    return [sys.executable, "-m", "gateway.cli.main", *words]


class Keys:
    """keyd, static keys and signed files of both towns, in one folder."""

    def __init__(self, folder, stack):
        self.folder, self._stack = folder, stack
        folder.mkdir(exist_ok=True)
        self.socket = folder / "keyd.sock"
        self.public = {town: static_key.create(folder / f"{town}.key") for town in ("paris", "frankfurt")}
        signer = Ed25519PrivateKey.generate()
        self.signer = static_key.format_public(signer.public_key().public_bytes_raw())
        for kind, text in (("roles", ROLES), ("addresses", ADDRESSES)):
            (folder / f"{kind}.toml").write_bytes(signed_file.sign(kind, text.encode(), signer))
        (folder / "passphrase").write_text("correct horse battery staple\n")
        (folder / "passphrase").chmod(0o600)
        words = ["link-keys", "root", str(folder / "root"), "--passphrase-file", str(folder / "passphrase")]
        done = subprocess.run(command(*words), capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr
        self.start()

    def start(self):
        """Starts keyd."""
        words = ["keyd", "--root", str(self.folder / "root"), "--passphrase-file", str(self.folder / "passphrase")]
        self.keyd = subprocess.Popen(
            command(*words, "--socket", str(self.socket), "--json"), stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._stack.callback(finish, self.keyd)
        assert json.loads(self.keyd.stdout.readline())["listening"]

    def stop(self):
        """keyd is gone."""
        finish(self.keyd)

    def link(self, town):
        """The [link] of a town, as the environment says it."""
        node, other, far = (1, "frankfurt", FRANKFURT) if town == "paris" else (2, "paris", PARIS)
        peer = {"node": 3 - node, "public_key": static_key.format_public(self.public[other]), "address": f"{far}:{PORT}"}
        if town == "frankfurt":
            peer["mirror"] = STREAMS
        words = {"ENABLED": "true", "NODE": str(node), "LISTEN": f"{PARIS if node == 1 else FRANKFURT}:{PORT}"}
        words |= {"KEY_FILE": str(self.folder / f"{town}.key"), "KEY_SERVICE": f"unix:{self.socket}"}
        words |= {"ROLES_FILE": str(self.folder / "roles.toml"), "ADDRESSES_FILE": str(self.folder / "addresses.toml")}
        words |= {"SIGNER": self.signer, "PRINCIPAL": town, "PEERS": json.dumps({other: peer})}
        return {f"LINK__{key}": text for key, text in words.items()}


def paris(places, folder, keys, stack, **options):
    """The demo whose appliance and venue live in Paris."""
    folder.mkdir(exist_ok=True)
    name = f"demo-{os.getpid()}"
    wiring = Wiring("pair", f"pair:{name}", f"pair:{name},side=b", ["ip", "netns", "exec", places.paris])
    together = (os.cpu_count() or 1) < 4
    demo = Demo(wiring, DemoOptions(together=together, keys=keys.link("paris"), **options), folder)
    stack.callback(close_demo, demo, name)
    return demo


def close_demo(demo, name):
    """The demo, and what a killed one leaves."""
    demo.close()
    for side in "ab":
        with suppress(OSError):
            os.unlink(f"/dev/shm/gateway-pair-{name}.{side}")  # noqa: PTH108


class Frankfurt:
    """An appliance whose books are Paris's."""

    def __init__(self, places, folder, keys, stack):
        folder.mkdir(exist_ok=True)
        self.folder, self.name = folder, f"demo-{os.getpid()}-mirror"
        self.path = folder / "gateway.toml"
        together = str((os.cpu_count() or 1) < 4).lower()
        self.path.write_text(
            f'[instance]\nname = "{self.name}"\nstate = "{folder}/state"\n[port]\nname = "pair:{self.name}"\n'
            f'[feed]\nname = "link"\n[placement]\ntogether = {together}\nidle = "yield"\n'
        )
        environment = {f"GATEWAY__{key}": text for key, text in keys.link("frankfurt").items()}
        self.environment = {**os.environ, **environment}
        self.log = (folder / "run.log").open("w")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", places.frankfurt, *command("run", str(self.path), "--json")],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            cwd=ROOT,
        )
        self.instance = None
        stack.callback(self.close)

    def wait(self, *processes, seconds=START_SECONDS):
        """Until it runs."""
        deadline = time.monotonic() + seconds
        while not self._runs(processes or ("PROCESS_IO", "PROCESS_LINK")):
            assert self.process.poll() is None, (self.folder / "run.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "run.log").read_text()
            time.sleep(0.05)

    def _runs(self, processes):
        with suppress(AttachError):
            if self.instance is None:
                self.instance = Instance.attach(self.name, writable=())
            beats = self.instance.control[0]["heartbeats"]
            return all(beats[layout.value(process)]["state"] == RUNNING for process in processes)
        return False

    def verb(self, *words):
        """(exit code, stdout) of `gateway link` looking at it."""
        done = subprocess.run(
            command("link", str(self.path), *words),
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
        return done.returncode, done.stdout or done.stderr

    def status(self):
        """Its link's own account."""
        path = self.folder / "state" / "link" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def executions(self):
        """Paris's executions, as they stand in the file."""
        path = self.folder / "state" / "link" / "executions-paris.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def close(self):
        """Ends it, and what it started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        finish(self.process)
        self.log.close()
        if self.instance is not None:
            for beat in self.instance.control[0]["heartbeats"]:
                if beat["state"] == RUNNING and beat["pid"]:
                    with suppress(ProcessLookupError):
                        os.kill(int(beat["pid"]), signal.SIGKILL)
            self.instance.close(remove=True)


@contextmanager
def held(instance):
    """The books as they stand while nothing comes; with their flags."""
    yield appliance_books(instance)
