"""Why somebody is not let in: one list for answers, counters and the journal, in the order in which it is looked at.

Beside the corridor, in front of every stream. Hard rule: a refusal names the first thing that was wrong, and nothing more:
who is refused learns neither a key nor what would have been checked next.
"""

from enum import StrEnum


class Reason(StrEnum):
    """The first check that failed."""

    GRANT = "GRANT"  # a renewal of what this session does not hold
    # where it comes from (addresses.py)
    ADDRESSES = "ADDRESSES"  # no valid addresses file: nobody is let in
    ADDRESS_FORM = "ADDRESS_FORM"  # no address at all
    ADDRESS = "ADDRESS"  # in no network of that peer's allow-list
    GEOFENCE = "GEOFENCE"  # in no region that is allowed
    STREAM = "STREAM"  # there is no such stream
    # the token (tokens.py)
    LENGTH = "LENGTH"
    VERSION = "VERSION"
    KEY = "KEY"  # a day that is not now, or whose secret is not here
    MAC = "MAC"
    TTL = "TTL"  # zero, or above 300 s
    DAY = "DAY"  # issued on another day than its key's
    EARLY = "EARLY"
    EXPIRED = "EXPIRED"
    AUDIENCE = "AUDIENCE"
    BINDING = "BINDING"  # made for another session
    # what its principal may (roles.py)
    ROLES = "ROLES"  # no valid roles file, or one below the floor: nobody may anything
    PRINCIPAL = "PRINCIPAL"  # not named, or (a renewal) not the grant's
    NODE = "NODE"  # this principal does not come through this peer
    ROLE = "ROLE"
    SCOPE = "SCOPE"  # the token itself does not name the stream
    METHOD = "METHOD"
    PAYLOAD = "PAYLOAD"
    # whether it was used (token_store.py)
    FORGOTTEN = "FORGOTTEN"  # issued before what the store remembers: mint another
    OLD = "OLD"  # 1,024 counters or more below the highest
    REPLAYED = "REPLAYED"
    FULL = "FULL"  # too many lives of this principal at once
    STORE = "STORE"  # that it was used cannot be written down
    LATER = "LATER"  # that it was used is being written down: no answer, nobody hears of it; ask with the same token again
    # letting in (access.py, journal.py)
    BUSY = "BUSY"  # no room for another grant
    JOURNAL = "JOURNAL"  # that it was let in cannot be written down
    # why a grant ended (grants.py)
    FLOOR = "FLOOR"  # the floor of the roles' version rose
    CLOSED = "CLOSED"  # the session, or whoever held it
