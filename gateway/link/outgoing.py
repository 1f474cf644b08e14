"""What this region gives: records of core_link, executions and quotes, handed to the stream server as they come.

    core_link ─► RecordReader ─► publish ─► acknowledge        executions ─► file ─► publish_executions        tops ─► quotes

Hard rule: a record is given back to core once the server has it, and core never waits for the server.
"""

import hashlib
from pathlib import Path
from typing import Any

from gateway import layout, limits
from gateway.instance import Instance
from gateway.link.execution_log import LIFE_BYTES, OwnExecutions
from gateway.link.executions import Executions
from gateway.link.quotes import QuoteTops
from gateway.link.streams.records import RecordReader


def life_of(instance: Instance) -> bytes:
    """16 bytes that no other life of this instance has: its rings begin with it, and end."""
    calibration = instance.control[0]["clock"].tobytes()
    return hashlib.sha256(b"gateway life" + instance.name.encode() + calibration).digest()[:LIFE_BYTES]


class InstanceSource:
    """Whose records these are."""

    def __init__(self, instance: Instance, node: int):
        self.node, self.boot_id = node, life_of(instance)
        self._state: Any = instance.regions["link"].view("link_state")[0]

    def request_scan(self) -> None:
        """Core is to tell of all its books."""
        self._state["snapshot_wanted"] += 1
        self._state["scans_asked"] += 1


class Outgoing:
    """The reader of core_link and of what lies beside it."""

    def __init__(self, instance: Instance, server: Any, folder: Path, source: InstanceSource):
        """`server`: a StreamServer. Raises GatewayError when the file of executions cannot be had."""
        self._server = server
        self._reader = RecordReader(instance.reader("core_link"), limits.LINK_RECORDS_PER_TURN)
        self._executions = Executions(instance)
        self._log = OwnExecutions(folder / "executions.bin", source.boot_id)
        self._executions.known(self._log.rows)
        if len(self._log.rows):
            server.publish_executions(self._log.rows, 0)
        self._tops = QuoteTops(instance)
        self._state: Any = instance.regions["link"].view("link_state")[0]

    def turn(self, now_ns: int) -> int:
        """Publishes what is there; how much it was."""
        batch = self._reader.take()
        if len(batch):
            self._server.publish(batch, now_ns)
            self._reader.acknowledge()
            self._tops.note(batch)
            self._state["records_sent"] += len(batch)
            self._state["records_lost"] += int(batch["count"][batch["kind"] == layout.value("LINK_LOST")].sum())
        executions = self._executions.take(now_ns)
        if len(executions):
            self._log.append(executions)
            self._server.publish_executions(executions, now_ns)
            self._state["executions"] += len(executions)
        quotes = self._tops.take(now_ns)
        if len(quotes):
            self._server.publish_quotes(quotes, now_ns)
        return len(batch) + len(executions)

    def close(self) -> None:
        """Closes the file."""
        self._log.close()
