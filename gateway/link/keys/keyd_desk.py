"""One request of one caller to keyd's vault, and its answer: bytes in, bytes out, no socket.

Hard rule: whatever the bytes are, there is an answer; a caller gets what its line of the list allows, and at its rate.
"""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from gateway import clock, limits
from gateway.link.keys import keyd_wire
from gateway.link.keys.held_secret import zero
from gateway.link.keys.key_service import SECOND_NS, KeyRefusal, KeyRefused, KeyService
from gateway.link.keys.keyd_access import Caller
from gateway.ops.token_bucket import Priority, Terms, take

BURST = limits.KEY_REQUESTS_BURST
TERMS = Terms(SECOND_NS // limits.KEY_REQUESTS_PER_SECOND, BURST, (BURST, BURST, BURST))


class KeydDesk:
    """Serves any number of threads, one request at a time."""

    def __init__(self, service: KeyService, monotonic_ns: Callable[[], int] = clock.monotonic_ns):
        self._service, self._monotonic_ns = service, monotonic_ns
        self._used_ns: dict[str, int] = {}  # by caller: as many as are listed
        self._lock = threading.Lock()
        self.counters: Counter[str] = Counter()  # requests by name, refusals by KeyRefusal

    def answer(self, caller: Caller, data: bytes) -> bytes:
        """The answer, with its length."""
        with self._lock:
            try:
                self._check_rate(caller)
                request, fields = keyd_wire.decode_request(data)
                _check_right(caller, request, fields)
                value = getattr(self._service, request)(**fields)
                self.counters[request] += 1
                answer = keyd_wire.encode_value(bytes(value) if isinstance(value, bytearray) else value)
                if isinstance(value, bytearray):
                    zero(value)
                return answer
            except KeyRefused as refused:
                self.counters[refused.reason.name] += 1
                return keyd_wire.encode_refusal(refused.reason)

    def refuse(self, reason: KeyRefusal) -> bytes:
        """The answer to what was no message."""
        with self._lock:
            self.counters[reason.name] += 1
        return keyd_wire.encode_refusal(reason)

    def _check_rate(self, caller: Caller) -> None:
        used_ns, now_ns = self._used_ns.get(caller.name, 0), self._monotonic_ns()
        granted, self._used_ns[caller.name], _ = take(TERMS, used_ns, Priority.NEW, 1, now_ns)
        if not granted:
            raise KeyRefused(KeyRefusal.RATE)


def _check_right(caller: Caller, request: str, fields: dict[str, Any]) -> None:
    if request == "revoke" and not caller.may_revoke:
        raise KeyRefused(KeyRefusal.NOT_ALLOWED)
    if request == "certify" and not caller.may_certify(fields["source"]):
        raise KeyRefused(KeyRefusal.NOT_ALLOWED)
