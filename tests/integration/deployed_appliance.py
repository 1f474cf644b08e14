"""What the deployment's tests put on a host, and the simulated venue next door at which the appliance there trades."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from tests.integration.far_end import FAR, end, ip

OPEN_MIN = 5
# orders over TCP take a wire of their own: the other one is the port's
NEAR_ORDERS, FAR_ORDERS, ADDRESS, DROP_COPY = "orders0", "orders1", "10.9.1.1:41004", "10.9.1.1:41005"
OVER_TCP = ("--orders", ADDRESS, "--drop-copy", DROP_COPY)
PASSWORD = "simulated"  # what `gateway venue` takes where nothing is said
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
    [post_trade]
    off = ["GAP"]
"""
SETTINGS_TCP = """
gateway_session_passwords: {{test: {password}}}
gateway_control_network: [test]
"""
ORDERS = f"""    [orders]
    carriage = "soupbintcp"
    address = "{ADDRESS}"
    username = "GWSIM"
    drop_copy = "{DROP_COPY}"
"""


def settings_tcp(settings):
    """The settings of the same appliance with orders over TCP."""
    return settings + ORDERS + SETTINGS_TCP.format(password=PASSWORD)


def wire_orders(places):
    """The second wire, between the kernels of both ends."""
    ip("link", "add", NEAR_ORDERS, "netns", places.near, "type", "veth", "peer", "name", FAR_ORDERS, "netns", places.far)
    for space, name, address in ((places.near, NEAR_ORDERS, "10.9.1.2/24"), (places.far, FAR_ORDERS, "10.9.1.1/24")):
        ip("-n", space, "address", "add", address, "dev", name)
        ip("-n", space, "link", "set", name, "up")


class Venue:
    """A simulated venue at the far end, which the strategy quotes at."""

    def __init__(self, box, *more):
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
            *more,
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

    def orders(self):
        """How many orders it has had so far."""
        return sum(self.look()["orders"].values())

    def account(self):
        """The venue's own account, once it has ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return json.loads(self.path.read_text())


@contextmanager
def trading(box, *more):
    """A venue at which the appliance holds open orders; `more` are words of `gateway venue`."""
    venue = Venue(box, *more)
    try:
        venue.wait_for_orders()
        yield venue
    finally:
        end(venue.process)
