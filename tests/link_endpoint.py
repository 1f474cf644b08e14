"""One side of a link as a process for tests: real sockets, the real peer, one secret, a workload, an exact account of it.

    python -m tests.link_endpoint '{"node": 1, …}'      commands as lines of JSON on stdin, an answer on stdout to each

A message of the workload is a function of channel and number, so that the receiver knows what each must be.
Hard rule: the account is taken from what the peer delivers, not from what the peer says of itself.
"""

import json
import os
import random
import select
import struct
import sys
from collections import Counter, defaultdict

from gateway import clock, limits
from gateway.link.peers.acceptor import Acceptor
from gateway.link.peers.event import Alarm, Delivered, Down, Suspect, Trusted, Up
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings
from gateway.link.transport import Transport
from gateway.native import address, ffi
from tests.link_workload import PING, PONG, Account, body_of

PATIENCE_NS = 300_000
REST_SECONDS = 0.002


class OneSecret:
    """The same secret for every hour."""

    def __init__(self, secret):
        self.secret = secret

    def hourly(self, hour):
        return self.secret


class Endpoint:
    """The process: transport, one peer, workload, commands."""

    def __init__(self, words):
        self.words = words
        self.calibration = ffi.new("struct clock_calibration *")
        clock.calibrate(address(self.calibration))
        self.offset_ns = int(words.get("offset_s", 0) * 1e9)
        settings = PeerSettings(
            node=words["node"],
            remote_node=words["remote"],
            initiator=words["initiator"],
            boot_id=os.urandom(16),
            private_key=bytes.fromhex(words["private"]),
            remote_public_key=bytes.fromhex(words["remote_public"]),
        )
        self.peer = Peer(settings, OneSecret(bytes.fromhex(words["secret"])), os.urandom)
        allowed = words.get("allowed")
        self.acceptor = Acceptor(
            {words["remote"]: self.peer}, lambda host: None if allowed is None or host in allowed else "ADDRESS"
        )
        listen = tuple(words["listen"]) if words.get("listen") else None
        called = {words["remote"]: tuple(words["call"])} if words.get("call") else {}
        self.transport = Transport({words["remote"]: self.peer}, self.acceptor, called, listen, self.now_ns)
        self.account = Account()
        self.events = Counter()
        self.alarms, self.times = [], defaultdict(list)
        self.sending = {}  # channel → [next number, last number, bytes, interval, due]
        self.pings = None
        self.poll = select.poll()
        self.poll.register(sys.stdin, select.POLLIN)

    def now_ns(self):
        return clock.now_ns(address(self.calibration)) + self.offset_ns

    def run(self):
        """Until stdin ends."""
        print(json.dumps({"port": self.transport.port()}), flush=True)
        busy_ns, looked_ns = self.now_ns(), 0
        while True:
            now_ns = self.now_ns()
            if now_ns - busy_ns < PATIENCE_NS or self.words.get("spin"):
                worked = self.transport.turn()
            else:
                worked = self.transport.wait(REST_SECONDS, now_ns)
            for event in self.peer.events():
                self.on_event(event, now_ns)
                worked = 1
            worked += self.work(self.now_ns())
            if worked:
                busy_ns = self.now_ns()
            if now_ns - looked_ns > 1_000_000:
                looked_ns = now_ns
                if self.poll.poll(0) and not self.command():
                    break
        self.transport.close()

    def on_event(self, event, now_ns):
        self.events[type(event).__name__] += 1
        if isinstance(event, Delivered):
            message = event.message
            if event.channel == 0 and message.body[:8] == PING:
                self.peer.send(0, PONG + message.body[8:], now_ns=now_ns)
            elif event.channel == 0 and message.body[:8] == PONG:
                self.account.pong(message.body, self.now_ns())
            else:
                self.account.delivered(event.channel, message, self.now_ns())
            self.peer.consumed(event.channel, len(message.body))
        elif isinstance(event, Alarm):
            self.alarms.append((event.reason, self.now_ns()))
        elif isinstance(event, Up | Down | Suspect | Trusted):
            self.times[type(event).__name__].append(self.now_ns())
            if isinstance(event, Up) and not event.resumed:
                self.events["Up anew"] += 1
            if isinstance(event, Down):
                self.events[f"Down {event.reason}"] += 1

    def work(self, now_ns):
        """Sends what is due and finds room."""
        worked = 0
        for channel, row in list(self.sending.items()):
            number, last, size, interval_ns, due_ns = row
            burst = 0
            while number <= last and now_ns >= due_ns and burst < 64:
                body = body_of(channel, number, size)
                if not self.peer.send(channel, body, now_ns=self.now_ns()):
                    break
                number, due_ns, burst = number + 1, due_ns + interval_ns, burst + 1
            worked += burst
            if number > last:
                del self.sending[channel]
                self.times[f"sent {channel}"].append(now_ns)
            else:
                self.sending[channel] = [number, last, size, interval_ns, due_ns]
        if self.pings and now_ns >= self.pings["due"] and self.account.answered >= self.pings["sent"] - self.pings["open"]:
            body = PING + struct.pack("<q", self.now_ns()) + bytes(self.pings["bytes"] - 16)
            if self.peer.send(0, body, now_ns=now_ns):
                self.pings["sent"] += 1
                self.pings["due"] = now_ns + self.pings["interval"]
                worked += 1
                if self.pings["sent"] >= self.pings["count"]:
                    self.pings = None
        return worked

    def command(self):
        """One line of stdin; False at its end."""
        line = sys.stdin.readline()
        if not line:
            return False
        words = json.loads(line)
        now_ns = self.now_ns()
        if "send" in words:
            send = words["send"]
            first = self.account.promised[send["channel"]] + 1
            last = self.account.promised[send["channel"]] = first + send["count"] - 1
            interval_ns = int(1e9 / send["rate"]) if send.get("rate") else 0
            self.sending[send["channel"]] = [first, last, send["bytes"], interval_ns, now_ns]
        if "ping" in words:
            ping = words["ping"]
            self.pings = {"sent": self.account.answered, "due": now_ns, "bytes": ping.get("bytes", 64)}
            self.pings |= {"interval": int(ping.get("interval_us", 0) * 1000), "open": ping.get("open", 0)}
            self.pings["count"] = self.account.answered + ping["count"]
        if "realtime" in words:
            policy, priority = (os.SCHED_FIFO, 50) if words["realtime"] else (os.SCHED_OTHER, 0)
            os.sched_setaffinity(0, {words["cpu"]} if words["realtime"] else set(range(os.cpu_count() or 1)))
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        if words.get("clear"):
            self.account.clear()
        print(json.dumps(self.report()), flush=True)
        return True

    def report(self):
        """Everything that was seen."""
        inside, outside = self.transport.transferred()
        return {
            **self.account.report(),
            "state": self.peer.state,
            "sending": {str(channel): row[0] for channel, row in self.sending.items()},
            "resting": self.peer.resting,
            "events": dict(self.events),
            "alarms": self.alarms,
            "times": dict(self.times),
            "counters": dict(self.peer.counters),
            "acceptor": dict(self.acceptor.counters),
            "transport": {**self.transport.counters, "bytes_in": inside, "bytes_out": outside},
            "now": self.now_ns(),
            "bound": limits.LINK_BODY_BYTES_MAX,
        }


if __name__ == "__main__":
    random.seed(1)
    Endpoint(json.loads(sys.argv[1])).run()
