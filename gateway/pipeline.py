"""THE MAP: every ring, every shared region and every stage of the appliance. Everything else reads it.

NIC ─ port ─ io ── io_core ──► core ── core_io ──► io ─ port ─ NIC
            │ ▲                  ▲ └── core_journal ──► control (journal file)
            │ │                  ├── external_core ◄── a strategy in another process
            │ │                  └── control_core ◄── control: what the venue knows of an order without an answer
            │ └── control_io ◄── gateway kill, control
            └── io_recorder ──► gateway capture

Where orders travel by a session over TCP, they leave core by core_session instead, and the stage session stands beside io:

core ── core_session ──► session ─ TCP ─ venue          session ── session_core ──► core
                            └── control_session ◄── gateway kill, control

Where a regional link is configured, the process link stands beside core; it reads books and fills as everybody may:

core ── core_link ──► link ═ two TCP connections, UDP ═ links of other regions          link ── link_core ──► core

Who writes what stands here too: from it follow the files' modes, where processes have users of their own, and the writable
mappings of each process, always.
"""

from dataclasses import dataclass

from gateway import limits

OWNERS = ("control", "core")  # one user's: who decides about limits, positions and orders


@dataclass(frozen=True)
class Ring:
    """A ring `producer_consumer`: its record, its depth and what happens when it is full."""

    name: str
    record: str  # struct of native/layout
    slot_bytes: int
    depth: int
    when_full: str
    reliable: bool = True  # False: observers only, the producer never waits


@dataclass(frozen=True)
class Region:
    """A shared table behind a region header: `rows` of `struct`; `header` is the struct that begins the file."""

    name: str
    kind: str  # enum region_kind
    struct: str
    rows: int
    header: str = "region_header"
    writers: tuple[str, ...] = OWNERS  # processes; everybody else maps it read-only


@dataclass(frozen=True)
class Stage:
    """A step function and the rings it touches. Both ends of a ring write it: its producer records, its reader a cursor."""

    name: str
    source: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


RINGS = (
    Ring("io_core", "frame_slot", limits.FRAME_SLOT_BYTES, limits.FRAME_RING_DEPTH, "newest frame dropped and counted"),
    Ring("core_io", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "the gate rejects: RING"),
    Ring("external_core", "intent_slot", limits.INTENT_SLOT_BYTES, limits.INTENT_RING_DEPTH, "the strategy outside waits"),
    Ring("control_io", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "gateway kill waits"),
    Ring("core_session", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "the gate rejects: RING"),
    Ring("control_session", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "gateway kill waits"),
    Ring("control_core", "resolution_slot", limits.RESOLUTION_SLOT_BYTES, limits.RESOLUTION_RING_DEPTH, "control waits"),
    Ring("session_core", "frame_slot", limits.REPORT_SLOT_BYTES, limits.REPORT_RING_DEPTH, "the socket is not read"),
    Ring(
        "core_journal",
        "journal_slot",
        limits.JOURNAL_SLOT_BYTES,
        limits.JOURNAL_RING_DEPTH,
        "the gate rejects: JOURNAL",
    ),
    Ring(
        "core_link", "link_slot", limits.LINK_SLOT_BYTES, limits.LINK_RING_DEPTH, "shed and counted: LINK_LOST, then a scan"
    ),
    Ring("link_core", "link_slot", limits.LINK_SLOT_BYTES, limits.LINK_RING_DEPTH, "the link waits"),
    Ring("io_recorder", "note_slot", limits.NOTE_SLOT_BYTES, limits.NOTE_RING_DEPTH, "overwritten", reliable=False),
)

REGIONS = (
    Region("control", "REGION_CONTROL", "control_block", 0, "control_block", writers=(*OWNERS, "io", "session", "link")),
    Region("counters", "REGION_COUNTERS", "counters", 0, "counters", writers=(*OWNERS, "io")),
    Region("session_counters", "REGION_COUNTERS", "counters", 0, "counters", writers=("session",)),
    Region("session", "REGION_SESSION", "session_state", 0, "session_state", writers=("session",)),
    Region("reconciliation", "REGION_RECONCILIATION", "reconciliation_state", 0, "reconciliation_state", ("control",)),
    Region("link", "REGION_LINK", "link_state", 0, "link_state", writers=("link",)),
    Region("gate", "REGION_GATE", "gate_row", limits.INSTRUMENTS_MAX, header="gate_account"),
    Region("orders", "REGION_ORDERS", "order", limits.ORDERS_MAX, header="order_table"),
    Region("holdings", "REGION_HOLDINGS", "gate_holding", limits.STRATEGIES_MAX * limits.INSTRUMENTS_MAX),
    Region("windows", "REGION_WINDOWS", "gate_window", limits.INSTRUMENTS_MAX),
    Region("recent", "REGION_RECENT", "gate_recent", limits.RECENT_LINES),
    Region("executions", "REGION_EXECUTIONS", "gate_executions", limits.STRATEGIES_MAX),
    Region(
        "post_trade", "REGION_POST_TRADE", "halted_symbol", limits.HALTED_SYMBOLS_MAX, "post_trade_account", ("control",)
    ),
    Region("fills", "REGION_FILLS", "fill", limits.FILLS_MAX),
    Region("books", "REGION_BOOKS", "book", limits.INSTRUMENTS_MAX),
    Region("instruments", "REGION_INSTRUMENTS", "instrument", limits.INSTRUMENTS_MAX),
    Region("quality", "REGION_QUALITY", "quality_row", limits.INSTRUMENTS_MAX, header="quality_account"),
    Region("levels", "REGION_LEVELS", "book_node", limits.BOOK_NODES_MAX),
    Region("book_orders", "REGION_BOOK_ORDERS", "book_order", limits.BOOK_ORDERS_MAX),
)

STAGES = (
    Stage("io", "native/io.c", reads=("core_io", "control_io"), writes=("io_core", "io_recorder")),
    Stage(
        "core",
        "gateway/core/loop.py",
        reads=("io_core", "session_core", "external_core", "control_core", "link_core"),
        writes=("core_io", "core_session", "core_journal", "core_link"),
    ),
)
SESSION = Stage("session", "gateway/ops/session.py", reads=("core_session", "control_session"), writes=("session_core",))
LINK = Stage("link", "gateway/link/process.py", reads=("core_link",), writes=("link_core",))
CONTROL = Stage(
    "control",
    "gateway/ops/supervisor.py",
    reads=("core_journal",),
    writes=("control_io", "control_session", "control_core", "link_core"),  # link_core: that the link has ended
)
EXTERNAL = Stage("external", "gateway/ops/trader.py", reads=(), writes=("external_core",))
PROCESSES = (*STAGES, SESSION, LINK, CONTROL, EXTERNAL)


def writers_of(name: str) -> set[str]:
    """The processes that write a ring or a region."""
    found = {process.name for process in PROCESSES if name in (*process.reads, *process.writes)}
    return found.union(*(region.writers for region in REGIONS if region.name == name))


def writable_by(*processes: str) -> frozenset[str]:
    """The rings and regions that a process of these stages maps writable."""
    names = [table.name for table in (*RINGS, *REGIONS)]
    return frozenset(name for name in names if writers_of(name) & set(processes))


def group_writable() -> frozenset[str]:
    """What somebody writes who is neither control nor core: the group of all processes may, where they have users."""
    return frozenset(
        name for name in writable_by(*(process.name for process in PROCESSES)) if writers_of(name) - set(OWNERS)
    )
