"""The section of the regional link: who we are on it, whom we know, whose streams we mirror, which keys and bounds hold.

Part of gateway/sections.py, which tells the rules. Hard rule: a peer that is not written here with its key is nobody.
"""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from gateway import limits
from gateway.sections import NoEndpoint, Section, name

MILLISECOND_NS = 1_000_000
NODE_LAST = 65_535
KEY_BYTES = 32
STREAMS = ("market_data", "snapshots", "executions", "quotes")
PEER_NAME = r"[a-z0-9][a-z0-9_-]{0,31}"


def key_of(text: str) -> bytes:
    """The 32 bytes of a public key that is written in base64. Raises ValueError."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("a public key is 32 bytes in base64; gateway link-keys prints it")
    return key


def _key_text(text: str) -> str:
    key_of(text)
    return text


def _static_key_text(text: str) -> str:
    """A static key of a peer; a point that gives no secret with any key is none."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    try:
        X25519PrivateKey.from_private_bytes(bytes(range(KEY_BYTES))).exchange(
            X25519PublicKey.from_public_bytes(key_of(text))
        )
    except ValueError as problem:
        raise ValueError(
            str(problem) if "base64" in str(problem) else "no public key; gateway link-keys prints one"
        ) from None
    return text


class LinkPeer(Section):
    """One neighbour: `[link.peers.NAME]`. A client only reads what we give: it is neither called nor mirrored."""

    node: int = Field(ge=1, le=NODE_LAST)
    public_key: Annotated[str, AfterValidator(_static_key_text)]
    address: NoEndpoint = ""
    role: Literal["gateway", "client"] = "gateway"
    mirror: tuple[Literal["market_data", "snapshots", "executions", "quotes"], ...] = ()


def _peers(peers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(peers) > limits.LINK_PEERS_MAX:
        raise ValueError(f"{len(peers)} peers: use at most {limits.LINK_PEERS_MAX}")
    nodes: dict[int, str] = {}
    for peer_name, words in peers.items():
        if not re.fullmatch(PEER_NAME, peer_name):
            raise ValueError(f"{peer_name!r} is no name of 1 to 32 of a-z 0-9 _ -")
        try:
            peer = LinkPeer(**words)
        except ValidationError as problem:
            raise ValueError(_first(peer_name, problem)) from None
        if peer.role == "client" and (peer.address or peer.mirror):
            raise ValueError(f"{peer_name} is a client: it calls us and only reads; leave out address and mirror")
        node = peer.node
        if node in nodes:
            raise ValueError(f"{peer_name} and {nodes[node]} are both node {node}")
        nodes[node] = peer_name
    if sum(bool(words.get("mirror")) for words in peers.values()) > 1:
        raise ValueError("two of them are mirrored; one appliance holds the books of one region")
    return peers


def _first(peer_name: str, problem: ValidationError) -> str:
    """The first thing that is wrong with a peer, in one line."""
    error = problem.errors(include_url=False)[0]
    key = ".".join(str(part) for part in error["loc"][:1])
    if error["type"] == "extra_forbidden":
        return f"{peer_name}.{key} is no key of a peer; known are: {', '.join(LinkPeer.model_fields)}"
    if error["type"] == "missing":
        return f"{peer_name} has no {key}; write it"
    return f"{peer_name}.{key} = {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"


def _optional_key_text(text: str) -> str:
    return _key_text(text) if text else text


OptionalKey = Annotated[str, AfterValidator(_optional_key_text), Field(json_schema_extra={"range": "base64, or empty"})]
Peers = Annotated[
    dict[str, dict[str, Any]], AfterValidator(_peers), Field(json_schema_extra={"range": "tables by name of the peer"})
]


class Link(Section):
    """The regional link: [link.md](link.md)."""

    enabled: bool = Field(False, description="Whether `gateway run` starts the process `link`.")
    node: int = Field(0, ge=0, le=NODE_LAST, description="Our number among all gateways and clients; 0: none yet.")
    listen: NoEndpoint = Field(
        "",
        description="Where peers reach us: TCP for both connections, and UDP of the same number for signs of life; "
        "empty: nobody calls us, and signs of life leave from any port.",
    )
    state: str = Field(
        "",
        description="Folder of what the link keeps, where it is another user's than control: in it `link/` (status, "
        "executions, who came) and `log/link.jsonl`; empty: `instance.state`.",
    )
    key_file: str = Field("", description="File of our static private key, mode 0600; `gateway link-keys` makes it.")
    key_service: str = Field(
        "",
        description="Where the key service is: `unix:PATH` or `tls:HOST:PORT,certificate=FILE,key=FILE,server=FILE` of "
        "`gateway keyd`, or `vault:https://HOST:PORT/TRANSIT`.",
    )
    roles_file: str = Field("", description="Signed file that says which principal may read which stream.")
    addresses_file: str = Field("", description="Signed file of the networks that peers may call from.")
    signer: OptionalKey = Field(
        "", description="Public key (base64) that both files are signed with: what FILE.pub of `gateway link-sign` says."
    )
    principal: str = name("", r"^[!-~]{0,32}$", "up to 32 characters", "In whose name we ask our peers for streams.")
    staleness_ms: int = Field(
        500, ge=1, le=600_000, description="A quote of another region that is older is marked stale in every answer."
    )
    heartbeat_ms: int = Field(
        limits.LINK_HEARTBEAT_NS // MILLISECOND_NS, ge=1, le=1_000, description="Between two signs of life."
    )
    suspect_ms: int = Field(
        limits.LINK_SUSPECT_NS // MILLISECOND_NS,
        ge=5,
        le=60_000,
        description="Silence after which a peer is suspected; the books that it feeds are stale from then on.",
    )
    rekey_minutes: int = Field(60, ge=1, le=60, description="A connection's key is replaced at the latest after so long.")
    rekey_frames: int = Field(
        limits.LINK_REKEY_FRAMES, ge=16, le=limits.LINK_REKEY_FRAMES, description="The same after so many frames."
    )
    rekey_mib: int = Field(
        limits.LINK_REKEY_BYTES >> 20, ge=1, le=limits.LINK_REKEY_BYTES >> 20, description="The same after so many MiB."
    )
    idle: Literal["spin", "yield", "sleep"] = Field(
        "yield", description="What its loop does when nothing is there: `spin` is fastest and needs a processor of its own."
    )
    peers: Peers = Field(
        default_factory=dict,
        description="Whom we know: `[link.peers.NAME]` with node, public_key (base64), address (where it listens; empty: it "
        "calls us; with both given the lower node calls), role (gateway; client: it only reads), "
        f"mirror (of {', '.join(STREAMS)}: what we take over from it).",
    )

    @model_validator(mode="after")
    def whole(self) -> "Link":
        """What runs knows who it is and where its keys are."""
        needed = ("node", "key_file", "key_service", "roles_file", "addresses_file", "signer")
        missing = [key for key in needed if not getattr(self, key)]
        if self.enabled and missing:
            raise ValueError(f"enabled = true needs {', '.join(missing)}")
        mirrored = next((peer for peer, words in self.peers.items() if words.get("mirror")), None)
        if self.enabled and mirrored and not self.principal:
            raise ValueError(f"peers.{mirrored}.mirror needs principal: in whose name we ask")
        if self.suspect_ms < 2 * self.heartbeat_ms:
            raise ValueError(f"suspect_ms = {self.suspect_ms} is less than two heartbeats of {self.heartbeat_ms} ms")
        twin = next((peer for peer, words in self.peers.items() if words["node"] == self.node), None)
        if twin is not None:
            raise ValueError(f"peers.{twin}.node = {self.node} is our own")
        return self

    def known(self) -> dict[str, LinkPeer]:
        """The peers by name."""
        return {peer_name: LinkPeer(**words) for peer_name, words in self.peers.items()}

    def calls(self, peer: LinkPeer) -> bool:
        """Whether we are the one who opens the session with this peer."""
        return bool(peer.address) and (not self.listen or self.node < peer.node)
