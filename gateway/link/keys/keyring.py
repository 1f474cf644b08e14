"""The keys that a process of the link holds: read at any moment, fetched beside the hot path.

         hour − 1     hour     hour + 1   hour + 2          yesterday … today … the day of hour + 2
      ──────┼──────────┼──────────┼──────────┼──────►
       handshakes   this one   two fetched ahead: the service may be gone for two hours, then `risk_allowed` is false

`refresh` alone speaks with the service; keyring_refresher.py calls it in a thread of its own. It asks again for what is
held, so that a revocation is seen within limits.KEY_POLL_NS. Hard rule: `hourly` and everything else that is read never
waits, never asks the service, and never returns a secret that was revoked.
"""

from collections import Counter

from gateway import limits
from gateway.link.keys import key_certificate
from gateway.link.keys.day_keys import DayKeys
from gateway.link.keys.held_secret import HeldSecret
from gateway.link.keys.key_service import (
    DAILY,
    HOURLY,
    PERIOD_SECONDS,
    SECOND_NS,
    SECRET_BYTES,
    KeyRefusal,
    KeyRefused,
    KeyService,
    Wrapped,
    period_of,
)

HOUR_NS = PERIOD_SECONDS[HOURLY] * SECOND_NS
DAY_NS = PERIOD_SECONDS[DAILY] * SECOND_NS
HOURS_AHEAD = 2


class Keyring:
    """Secrets by hour, keys by day. One thread refreshes, any thread reads."""

    def __init__(self, service: KeyService, source: int, sources: tuple[int, ...] = ()):
        """`source`: our node. `sources`: nodes whose signatures will be checked."""
        self._service, self._source, self._sources = service, source, (source, *sources)
        self._hours: dict[int, HeldSecret] = {}
        self._days: dict[int, DayKeys] = {}
        self._authority: dict[int, dict[int, bytes]] = {}
        self._authority_day = -1
        self.counters: Counter[str] = Counter()  # fetched, revoked, expired, rolled_back, and KeyRefusal by name
        self.problem = ""  # what the last refresh met, in one line; empty: nothing
        self.changes = 0  # rises when a secret that was held is replaced or dropped early: sessions look

    # Read at any moment ------------------------------------------------------------------------------------------

    def hourly(self, hour: int) -> bytes | None:
        """The secret of an hour (since 1970); None where none is held."""
        held = self._hours.get(hour)
        return held.read() if held else None

    def day_keys(self, day: int) -> DayKeys | None:
        """The keys of a day (since 1970); None where none are held."""
        return self._days.get(day)

    def risk_allowed(self, now_ns: int) -> bool:
        """Whether new risk may be taken: this hour's secret is held, and keys of today that are certified."""
        return now_ns < self.risk_until_ns(now_ns)

    def risk_until_ns(self, now_ns: int) -> int:
        """When new risk ends by what is held now: the first hour without its secret, or day without certified keys.

        That of this very hour, or day, where nothing is held: no later than `now_ns`.
        """
        hour, day = period_of(HOURLY, now_ns), period_of(DAILY, now_ns)
        while hour in self._hours:
            hour += 1
        while (keys := self._days.get(day)) is not None and keys.certified:
            day += 1
        return min(hour * HOUR_NS, day * DAY_NS)

    def verified_key(self, certificate: bytes, source: int, day: int) -> bytes | None:
        """The public key that node `source` signs with on `day`, when its certificate holds; else None, and counted."""
        keys = self._days.get(day)
        try:
            if keys is None:
                raise KeyRefused(KeyRefusal.CERTIFICATE, "no keys of that day are held")
            authority = self._authority.get(source, {})
            return key_certificate.check(certificate, authority, source, day, keys.generation)
        except KeyRefused as refused:
            self.counters[refused.reason.name] += 1
            self._authority_day = -1  # it may have been signed with a key that is newer than what we know
            return None

    # Beside the hot path -----------------------------------------------------------------------------------------

    def refresh(self, now_ns: int) -> int:
        """Fetches what is missing, drops what is over or revoked; may block. Returns when to call again (ns, UTC)."""
        self._expire(now_ns)
        today = period_of(DAILY, now_ns)
        self.problem, reached = "", True
        for name, period in _wanted(now_ns):
            try:
                self._renew(name, period)
                if name == DAILY and period >= today:  # nobody signs for a day that is over
                    self._certify(period)
            except KeyRefused as refused:
                reached = self._on_refused(refused, name, period)
            if not reached:  # the others would wait for the same answer
                break
        if reached:
            self._read_authority(today)
        wait_ns = limits.KEY_RETRY_NS if self.problem else limits.KEY_POLL_NS
        return min(now_ns + wait_ns, (period_of(HOURLY, now_ns) + 1) * HOUR_NS)

    def drop(self, name: str, period: int) -> None:
        """Forgets a secret at once, as a peer or a human says that it is known to others; refresh fetches what follows."""
        gone = self._take_out(name, period)
        if gone is not None:
            self.counters["revoked"] += 1
            self.changes += 1
            self._authority_day = -1

    def close(self) -> None:
        """Forgets everything."""
        for hour in list(self._hours):
            self._take_out(HOURLY, hour)
        for day in list(self._days):
            self._take_out(DAILY, day)

    def _renew(self, name: str, period: int) -> None:
        data = self._service.wrapped(name, period)
        wrapped = Wrapped.unpack(data)
        if (wrapped.name, wrapped.period) != (name, period):
            raise KeyRefused(KeyRefusal.FAULT, "it answered with another period")
        generation = self._generation(name, period)
        if wrapped.generation < generation:
            self.counters["rolled_back"] += 1
            raise KeyRefused(KeyRefusal.FAULT, "it answered with a generation that was revoked")
        if wrapped.generation > generation > 0:
            self.drop(name, period)
        if wrapped.generation > generation:
            self._keep(name, period, HeldSecret(_whole(self._service.unwrap(data)), wrapped.generation))

    def _generation(self, name: str, period: int) -> int:
        held: HeldSecret | DayKeys | None = (self._hours if name == HOURLY else self._days).get(period)
        return held.generation if held else 0

    def _keep(self, name: str, period: int, secret: HeldSecret) -> None:
        if name == HOURLY:
            self._hours[period] = secret
        else:
            self._days[period] = DayKeys(period, secret)
        self.counters["fetched"] += 1

    def _certify(self, day: int) -> None:
        keys = self._days[day]
        if not keys.certified:
            certificate = self._service.certify(self._source, keys.public_key, day)
            said = key_certificate.read(certificate)
            if (said.source, said.day, said.generation, said.public_key) != (
                self._source,
                day,
                keys.generation,
                keys.public_key,
            ):
                raise KeyRefused(KeyRefusal.FAULT, "it certified something else")
            keys.certificate = certificate

    def _on_refused(self, refused: KeyRefused, name: str, period: int) -> bool:
        """Counts; returns whether the service is worth asking for the next one."""
        self.counters[refused.reason.name] += 1
        self.problem = str(refused)
        if refused.reason is KeyRefusal.REVOKED:
            self.drop(name, period)
        return not refused.reason.passing

    def _read_authority(self, day: int) -> None:
        """Once a day, and after what may have been a change of the service's own keys."""
        if self._authority_day == day and len(self._authority) == len(set(self._sources)):
            return
        try:
            for source in self._sources:
                self._authority[source] = self._service.authority(source)
            self._authority_day = day
        except KeyRefused as refused:
            self.counters[refused.reason.name] += 1
            self.problem = str(refused)

    def _expire(self, now_ns: int) -> None:
        wanted = set(_wanted(now_ns))
        for hour in [hour for hour in list(self._hours) if (HOURLY, hour) not in wanted]:
            self._take_out(HOURLY, hour)
            self.counters["expired"] += 1
        for day in [day for day in list(self._days) if (DAILY, day) not in wanted]:
            self._take_out(DAILY, day)
            self.counters["expired"] += 1

    def _take_out(self, name: str, period: int) -> HeldSecret | DayKeys | None:
        gone: HeldSecret | DayKeys | None = self._hours.pop(period, None) if name == HOURLY else self._days.pop(period, None)
        if gone is not None:
            gone.drop()
        return gone

    def __repr__(self) -> str:
        return f"Keyring(hours={sorted(self._hours)}, days={sorted(self._days)}, problem={self.problem!r})"


def _wanted(now_ns: int) -> list[tuple[str, int]]:
    """What should be held, the most urgent first."""
    hour = period_of(HOURLY, now_ns)
    hours = [*range(hour, hour + HOURS_AHEAD + 1), hour - 1]
    today = period_of(DAILY, now_ns)
    days = sorted({today, today - 1, period_of(DAILY, now_ns + (HOURS_AHEAD + 1) * HOUR_NS)}, reverse=True)
    first = [(HOURLY, hours[0]), (DAILY, today)]
    return first + [(HOURLY, each) for each in hours[1:]] + [(DAILY, day) for day in days if day != today]


def _whole(secret: bytearray) -> bytearray:
    if len(secret) != SECRET_BYTES:
        raise KeyRefused(KeyRefusal.FAULT, f"a secret has {SECRET_BYTES} bytes")
    return secret
