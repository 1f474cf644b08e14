"""Two endpoints of a link as processes, in two namespaces or on loopback, and what a test asks of them."""

import json
import socket
import subprocess
import sys
import time

from gateway.link.keys import static_key
from tests.link_spaces import FRANKFURT, PARIS, ROOT, finish

PORT = 41010
SECONDS = 60.0
SECRET = bytes(range(32)).hex()


def key_pair(number):
    """(private, public) in hexadecimal, the same in every run."""
    private = bytes([number]) * 32
    return private.hex(), static_key.public_of(private).hex()


class Side:
    """One endpoint from outside."""

    def __init__(self, process):
        self.process = process
        self.port = json.loads(self._line())["port"]

    def ask(self, **words):
        """A command, or none; the account so far."""
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def _line(self):
        line = self.process.stdout.readline()
        assert line, f"the endpoint ended: exit code {self.process.wait(10)}"
        return line

    def until(self, holds, what, seconds=SECONDS):
        """The account, once `holds(account)`."""
        deadline = time.monotonic() + seconds
        while True:
            account = self.ask()
            if holds(account):
                return account
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}: {account}"
            time.sleep(0.02)


def words_of(node, remote, **more):
    """The configuration of one endpoint; the lower node calls."""
    private, _ = key_pair(node)
    _, public = key_pair(remote)
    return {"node": node, "remote": remote, "initiator": node < remote, "private": private, "remote_public": public} | {
        "secret": SECRET,
        **more,
    }


def start(words, prefix=(), stack=None):
    """An endpoint; ended with `stack`."""
    command = [*prefix, sys.executable, "-m", "tests.link_endpoint", json.dumps(words)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if stack is not None:
        stack.callback(finish, process)
    return Side(process)


def across(places, paris=None, frankfurt=None):
    """(Paris, which calls; Frankfurt, which listens), in their namespaces."""
    inside = ["ip", "netns", "exec"]
    words = words_of(2, 1, listen=[FRANKFURT, PORT], **(frankfurt or {}))
    far = start(words, [*inside, places.frankfurt], places.stack)
    words = words_of(1, 2, call=[FRANKFURT, PORT], listen=[PARIS, PORT], **(paris or {}))
    near = start(words, [*inside, places.paris], places.stack)
    return near, far


def on_loopback(stack, **more):
    """The same on this host's own loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    far = start(words_of(2, 1, listen=["127.0.0.1", port], **more), (), stack)
    near = start(words_of(1, 2, call=["127.0.0.1", port], **more), (), stack)
    return near, far


def both_up(*sides, seconds=SECONDS):
    """Waits until every side has its session and both connections."""
    for side in sides:
        side.until(lambda account: account["state"] == "up" and account["events"].get("Joined", 0) >= 2, "up", seconds)
