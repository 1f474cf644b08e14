"""THE MAP: every ring, every shared region and every stage of the appliance. Everything else reads it.

NIC ─ port ─ io ── io_core ──► core ── core_io ──► io ─ port ─ NIC
              ▲                  ▲ └── core_journal ──► control (journal file)
              │                  └── external_core ◄── a strategy in another process
              └── control_io ◄── gateway kill, control
"""

from dataclasses import dataclass

from gateway import limits


@dataclass(frozen=True)
class Ring:
    """A ring `producer_consumer`: its record, its depth and what happens when it is full."""

    name: str
    record: str  # struct of native/layout
    slot_bytes: int
    depth: int
    when_full: str


@dataclass(frozen=True)
class Region:
    """A shared table behind a region header: `rows` of `struct`; `header` is the struct that begins the file."""

    name: str
    kind: str  # enum region_kind
    struct: str
    rows: int
    header: str = "region_header"


@dataclass(frozen=True)
class Stage:
    """A step function and the rings it touches."""

    name: str
    source: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


RINGS = (
    Ring("io_core", "frame_slot", limits.FRAME_SLOT_BYTES, limits.FRAME_RING_DEPTH, "newest frame dropped and counted"),
    Ring("core_io", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "the gate rejects: RING"),
    Ring("external_core", "intent_slot", limits.INTENT_SLOT_BYTES, limits.INTENT_RING_DEPTH, "the strategy outside waits"),
    Ring("control_io", "order_slot", limits.ORDER_SLOT_BYTES, limits.ORDER_RING_DEPTH, "gateway kill waits"),
    Ring(
        "core_journal",
        "journal_slot",
        limits.JOURNAL_SLOT_BYTES,
        limits.JOURNAL_RING_DEPTH,
        "the gate rejects: JOURNAL",
    ),
)

REGIONS = (
    Region("control", "REGION_CONTROL", "control_block", 0, header="control_block"),
    Region("counters", "REGION_COUNTERS", "counters", 0, header="counters"),
    Region("gate", "REGION_GATE", "gate_row", limits.INSTRUMENTS_MAX, header="gate_account"),
    Region("orders", "REGION_ORDERS", "order", limits.ORDERS_MAX, header="order_table"),
    Region("holdings", "REGION_HOLDINGS", "gate_holding", limits.STRATEGIES_MAX * limits.INSTRUMENTS_MAX),
    Region("windows", "REGION_WINDOWS", "gate_window", limits.INSTRUMENTS_MAX),
    Region("recent", "REGION_RECENT", "gate_recent", limits.RECENT_LINES),
    Region("executions", "REGION_EXECUTIONS", "gate_executions", limits.STRATEGIES_MAX),
    Region("fills", "REGION_FILLS", "fill", limits.FILLS_MAX),
    Region("books", "REGION_BOOKS", "book", limits.INSTRUMENTS_MAX),
    Region("instruments", "REGION_INSTRUMENTS", "instrument", limits.INSTRUMENTS_MAX),
    Region("quality", "REGION_QUALITY", "quality_row", limits.INSTRUMENTS_MAX, header="quality_account"),
    Region("levels", "REGION_LEVELS", "book_node", limits.BOOK_NODES_MAX),
    Region("book_orders", "REGION_BOOK_ORDERS", "book_order", limits.BOOK_ORDERS_MAX),
)

STAGES = (
    Stage("io", "native/io.c", reads=("core_io", "control_io"), writes=("io_core",)),
    Stage("core", "gateway/core/loop.py", reads=("io_core", "external_core"), writes=("core_io", "core_journal")),
)
