"""The sections and keys of the configuration file: type, range, default and meaning of every key, once.

`gateway show-config --markdown` prints docs/operating/configuration.md from here.
Hard rule: no default lets an order out. What strategies may do stands in risk_sections.py.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from gateway import limits

MILLISECOND_NS = 1_000_000
MICROSECOND_NS = 1_000
CPU_LAST = 1023
HEARTBEATS_MS = 10 * limits.HEARTBEAT_NS // MILLISECOND_NS  # no neighbour is called silent sooner
QUANTITY_LAST = 999_999  # OUCH 5.0: an order's quantity is less than 1,000,000
POSITION_LAST = 1_000_000_000
VALUE_LAST = 100_000_000_000
RATE_LAST = 1_000_000
SCALE_LAST = 36
PRICE_EXPONENT = -4
PRICE_UNITS = 10_000  # ITCH and OUCH prices count 1/10000 of the currency


def endpoint(text: str) -> tuple[int, int]:
    """`"10.77.0.1:41001"` → (IPv4 address in host order, port). Raises ValueError."""
    address, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("write ADDRESS:PORT, for example 10.77.0.1:41001")
    try:
        return int(ipaddress.IPv4Address(address)), int(port)
    except ValueError:
        raise ValueError(f"{address!r} is no IPv4 address; write ADDRESS:PORT, for example 10.77.0.1:41001") from None


def host_and_port(text: str) -> tuple[str, int]:
    """`"127.0.0.1:41004"` → ("127.0.0.1", 41004), for kernel sockets. Raises ValueError."""
    number, port = endpoint(text)
    return str(ipaddress.IPv4Address(number)), port


def mac(text: str) -> bytes:
    """`"02:00:0a:4d:00:01"` → its six bytes. Raises ValueError."""
    if not re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        raise ValueError("write six hexadecimal bytes, for example 02:00:0a:4d:00:01")
    return bytes.fromhex(text.replace(":", ""))


def _endpoint_text(text: str) -> str:
    endpoint(text)
    return text


def _endpoint_or_none(text: str) -> str:
    if text:
        endpoint(text)
    return text


def _mac_text(text: str) -> str:
    mac(text)
    return text


def _optional_mac_text(text: str) -> str:
    return _mac_text(text) if text else text


def _interface_address(text: str) -> str:
    address, slash, prefix = text.partition("/")
    try:
        if slash and prefix.isdecimal() and 1 <= int(prefix) <= 32:
            return f"{ipaddress.IPv4Address(address)}/{int(prefix)}"
    except ValueError:
        pass
    raise ValueError("write an IPv4 address and the length of its network, for example 10.0.0.2/24")


def _port_text(text: str) -> str:
    kind, colon, argument = text.partition(":")
    if not colon or not argument or not re.fullmatch(r"[a-z_]+", kind):
        raise ValueError("write KIND:ARGUMENT, for example pair:gateway or af_packet:eth0")
    return text


def _symbols(symbols: list[str]) -> list[str]:
    for symbol in symbols:
        if not re.fullmatch(r"\*|[!-~]{1,8}", symbol):
            raise ValueError(f"{symbol!r} is no symbol of 1 to 8 characters")
    if "*" in symbols and len(symbols) > 1:
        raise ValueError('"*" stands alone')
    return symbols


def _members(group: str) -> tuple[tuple[str, int], ...]:
    """`"BTCUSDT XBT@-2"` → (("BTCUSDT", 0), ("XBT", -2)). Raises ValueError."""
    found = []
    for word in group.split():
        match = re.fullmatch(r"([!-?A-~]{1,48})(?:@(-?[0-9]{1,2}))?", word)
        if not match or abs(int(match[2] or 0)) > SCALE_LAST:
            raise ValueError(f"{word!r} is no SYMBOL or SYMBOL@SCALE with a scale from -{SCALE_LAST} to {SCALE_LAST}")
        found.append((match[1], int(match[2] or 0)))
    if not 2 <= len(found) <= limits.QUALITY_MEMBERS_MAX:
        raise ValueError(f"{group!r}: a group has 2 to {limits.QUALITY_MEMBERS_MAX} symbols")
    return tuple(found)


def _groups(groups: list[str]) -> list[str]:
    if len(groups) > limits.QUALITY_GROUPS_MAX:
        raise ValueError(f"{len(groups)} groups: use at most {limits.QUALITY_GROUPS_MAX}")
    symbols = [symbol for group in groups for symbol, _ in _members(group)]
    twice = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} stands twice; a symbol belongs to one group")
    return groups


Endpoint = Annotated[str, AfterValidator(_endpoint_text), Field(json_schema_extra={"range": "ADDRESS:PORT"})]
NoEndpoint = Annotated[str, AfterValidator(_endpoint_or_none), Field(json_schema_extra={"range": "ADDRESS:PORT, or empty"})]
Mac = Annotated[str, AfterValidator(_mac_text), Field(json_schema_extra={"range": "six hexadecimal bytes"})]
OptionalMac = Annotated[
    str, AfterValidator(_optional_mac_text), Field(json_schema_extra={"range": "six hexadecimal bytes, or empty"})
]
InterfaceAddress = Annotated[str, AfterValidator(_interface_address), Field(json_schema_extra={"range": "ADDRESS/LENGTH"})]
PortName = Annotated[str, AfterValidator(_port_text), Field(json_schema_extra={"range": "KIND:ARGUMENT"})]
Groups = Annotated[list[str], AfterValidator(_groups), Field(json_schema_extra={"range": "lists of symbols"})]
Symbols = Annotated[list[str], AfterValidator(_symbols), Field(json_schema_extra={"range": "symbols"})]


def name(text: str, pattern: str, range_text: str, description: str) -> Any:
    """A key that holds a short name; `range_text` says the pattern in words."""
    return Field(text, pattern=pattern, description=description, json_schema_extra={"range": range_text})


def required(last: int, description: str) -> Any:
    """A limit from 1 to `last` that is unset until somebody writes it."""
    return Field(None, ge=1, le=last, description=description, json_schema_extra={"required": True})


class Section(BaseModel):
    """One table of the file: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Instance(Section):
    """Who this instance is and where its files are."""

    name: str = name(
        "gateway",
        r"^[a-z0-9][a-z0-9_-]{0,31}$",
        "1 to 32 of a-z 0-9 _ -",
        "Names the instance; `gateway top` and `gateway kill` find it by this name.",
    )
    folder: str = Field("/dev/shm", description="Folder that holds the instance's folder of shared memory, `gateway-NAME`.")
    state: str = Field(
        "",
        description="Folder of what outlives the process: the kill file. Empty: `gateway/NAME` under "
        "`$XDG_STATE_HOME`, or under `~/.local/state`.",
    )


class Port(Section):
    """Where frames come from and go to."""

    name: PortName = Field(
        "pair:gateway",
        description="`pair:NAME`, `pcap:FILE`, `binaryfile:FILE`, `tap:NAME`, `af_packet:INTERFACE`, `dpdk:DEVICE`.",
    )


class ExceptionPath(Section):
    """Frames that are neither market data nor order traffic go to the kernel and back: ARP, IGMP, ping, TCP."""

    tap: str = name(
        "",
        r"^([A-Za-z0-9_.-]{1,15})?$",
        "1 to 15 of A-Z a-z 0-9 _ . -, or empty",
        "TAP interface that `io` makes beside the port and removes at the end; empty: no exception path.",
    )
    address: InterfaceAddress = Field("10.0.0.2/24", description="IPv4 address of the TAP and length of its network.")
    mac: OptionalMac = Field(
        "", description="Hardware address of the TAP; empty: the port's own where it tells, else derived from host and name."
    )
    join: bool = Field(True, description="Join the multicast groups of the feed through the TAP, and leave them on stop.")


class Privileges(Section):
    """What `io` and `core` give up before the first frame."""

    drop: bool = Field(
        True,
        description="`io` keeps no capability once its ports are open, `core` has none from the start; "
        "neither gains new ones, and a filter refuses system calls that they do not need.",
    )
    user: str = name(
        "",
        r"^([a-z_][a-z0-9_-]{0,31})?$",
        "a user of this host, or empty",
        "User that `io` and `core` become when control is root; empty: they stay root, without capabilities.",
    )
    group: str = name(
        "",
        r"^([a-z_][a-z0-9_-]{0,31})?$",
        "a group of this host, or empty",
        "Group of `io` and `session` where a service manager runs them as users of their own: it reads the shared memory "
        "and writes what is theirs, never the gate; empty: all of it is one user's.",
    )


class Placement(Section):
    """Which loop runs on which processor."""

    together: bool = Field(False, description="`io` and `core` share one loop and one processor (run to completion).")
    io_cpu: int = Field(-1, ge=-1, le=CPU_LAST, description="Processor of the `io` loop; -1 leaves it to the kernel.")
    core_cpu: int = Field(-1, ge=-1, le=CPU_LAST, description="Processor of the `core` loop; -1 leaves it to the kernel.")
    idle: Literal["spin", "yield", "sleep"] = Field(
        "yield", description="What a loop does when nothing is there: `spin` is fastest and needs a processor per loop."
    )
    sleep_us: int = Field(50, ge=1, le=1_000_000, description='Length of one rest of `idle = "sleep"`.')
    lock_memory: bool = Field(
        False, description="`io` and `core` keep in memory what they have touched (mlockall); needs RLIMIT_MEMLOCK."
    )

    @model_validator(mode="after")
    def one_loop_a_processor(self) -> "Placement":
        """Two loops pinned to one processor starve each other."""
        if not self.together and self.io_cpu == self.core_cpu >= 0:
            raise ValueError(f"io_cpu and core_cpu are both {self.io_cpu}; write together = true, or another processor")
        return self


class Feed(Section):
    """The market data that is followed."""

    name: str = name(
        "itch50",
        r"^[a-z0-9][a-z0-9_]{0,31}$",
        "a shipped definition",
        "Feed that is followed: `itch50`, `cme_mdp3`, `deribit`, `euronext_optiq`, `coinbase_derivatives`, `binance_sbe`; "
        "for recorded sessions `binance_spot`, `binance_usdm`, `coinbase`, `kraken`, `okx`, `deribit_json`; `link`: "
        "the books of another region, which `[link]` mirrors.",
    )
    definition: str = Field("", description="Feed definition file (TOML) instead of a shipped one.")
    schema_file: str = Field("", description="The venue's SBE schema (XML), for feeds that have one.")
    line_a: Endpoint = Field("239.192.1.1:31001", description="Group and port of line A.")
    line_b: Endpoint = Field("239.192.1.2:31002", description="Group and port of line B.")
    any_destination: bool = Field(False, description="Take a UDP datagram to any other destination as line A; for captures.")
    reorder_window_us: int = Field(
        limits.REORDER_WINDOW_NS // MICROSECOND_NS,
        ge=0,
        le=10_000_000,
        description="How long a missing sequence may still arrive before it counts as lost.",
    )
    request_server: NoEndpoint = Field("", description="Server that sends messages again; empty: there is none.")
    recovery_address: Endpoint = Field("10.77.0.1:41003", description="Source of requests, destination of the replies.")
    recovery_deadline_ms: int = Field(500, ge=1, le=60_000, description="How long a gap may take to fill.")
    snapshot_line: NoEndpoint = Field("", description="Group and port of the snapshot channel; empty: there is none.")
    unsequenced: bool = Field(
        False, description="Take packets with sequence number 0 as they come; for recordings that were framed anew."
    )
    checksum: bool = Field(True, description="Verify UDP checksums and refuse frames that fail.")


class Session(Section):
    """The order session: who its two sides are on the wire of `udp`, and what every order says of us."""

    our_address: Endpoint = Field("10.77.0.1:41001", description="Source of orders, destination of reports.")
    venue_address: Endpoint = Field("10.77.0.2:41002", description="Where orders go.")
    our_mac: Mac = Field("02:00:0a:4d:00:01", description="Hardware address of our side.")
    venue_mac: Mac = Field("02:00:0a:4d:00:02", description="Hardware address of the venue's side, or of the next hop.")
    firm: str = name("", r"^[A-Z0-9]{0,4}$", "0 to 4 of A-Z 0-9", "Firm code of every order; empty: the session's own.")
    capacity: Literal["agency", "principal", "riskless", "other"] = Field(
        "principal", description="Capacity of every order."
    )
    site: str = name("A", r"^[A-Z0-9]$", "one of A-Z 0-9", "Site letter in every client order id.")


class Watch(Section):
    """When silence stops trading."""

    control_stale_ms: int = Field(
        limits.CONTROL_STALE_NS // MILLISECOND_NS,
        ge=HEARTBEATS_MS,
        le=600_000,
        description="Silence of `control` after which `io` sets the kill latch; while the latch is set, `core` then cancels"
        " what is open.",
    )
    core_stale_ms: int = Field(
        limits.CORE_STALE_NS // MILLISECOND_NS,
        ge=HEARTBEATS_MS,
        le=600_000,
        description="Silence of `core` after which `io` sets the kill latch.",
    )
    link_hung_ms: int = Field(
        limits.LINK_HUNG_NS // MILLISECOND_NS,
        ge=HEARTBEATS_MS,
        le=600_000,
        description="Silence of `link` after which `control` ends it and starts it again.",
    )
    order_age_max_ms: int = Field(
        limits.ORDER_AGE_MAX_NS // MILLISECOND_NS,
        ge=1,
        le=60_000,
        description="`io` refuses an order whose causing frame is older.",
    )


class Quality(Section):
    """What is flagged as doubtful. Flags never stop an order by themselves; a quiet book does, as a stale one."""

    z_max: FiniteFloat = Field(
        0.0,
        ge=0,
        le=1000,
        description="A price so many standard deviations from its moving average is an outlier; 0: no such check.",
    )
    deviation_ppm: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="A price further from its moving average than this share of it is an outlier; 0: no such check.",
    )
    window: int = Field(
        64, ge=2, le=65_536, description="Prices that the moving average remembers: weight 2 / (window + 1)."
    )
    warm_up: int = Field(32, ge=2, le=65_536, description="Prices of an instrument before any is called an outlier.")
    agree: int = Field(8, ge=1, le=1000, description="Outliers in agreement after which the market has moved.")
    floor_ppm: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Within this share of the average no price is an outlier, however calm the market.",
    )
    stale_after_ms: int = Field(
        0,
        ge=0,
        le=3_600_000,
        description="Silence of an instrument after which its book is marked quiet and not traded on; "
        "0: no mark, the gate alone compares its age with `risk.stale_ms`.",
    )
    groups: Groups = Field(
        default_factory=list,
        description='The same product at several venues, `"BTCUSDT BTC-USD XBT@-2"`: SYMBOL or SYMBOL@SCALE, '
        "price × 10^SCALE is compared.",
    )
    divergence_ppm: int = Field(
        1_000, ge=1, le=1_000_000, description="Middles of a group that differ by more than this share are apart."
    )
    divergence_ms: int = Field(
        1_000, ge=0, le=3_600_000, description="How long they are apart before their events are flagged."
    )

    def group_members(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """(symbol, scale) of every group."""
        return tuple(_members(group) for group in self.groups)


def is_required(field: Any) -> bool:
    """True for a limit without which no strategy starts."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("required"))
