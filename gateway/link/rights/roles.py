"""Which principal may read which stream: a signed file of roles, its version, and the floor below which none counts.

    version = 7
    [roles.market_maker]                      [principals.desk-7]
    bit = 0                                   roles = ["market_maker"]
    streams = ["snapshots"]                   nodes = [2]

Revocation is a file with a higher version: the floor rises with it, on disk, and what was granted before ends. Hard rule:
what the file does not name is refused: principal, node, role, stream.
"""

from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from gateway import limits
from gateway.link.rights import signed_file
from gateway.link.rights.reasons import Reason
from gateway.link.rights.signed_file import VERSION_MAX, Words
from gateway.link.rights.token_keys import principal_bytes
from gateway.link.rights.tokens import STREAMS, Stream, Token

KIND = "roles"
ALL = "all"

RoleName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
PrincipalName = Annotated[str, Field(pattern=r"^[!-~]{1,32}$")]
Node = Annotated[int, Field(ge=1, le=65_535)]


class RoleWords(Words):
    """`[roles.NAME]`."""

    bit: int = Field(ge=0, lt=limits.ROLES_MAX)
    streams: list[str] = Field(max_length=2 * len(STREAMS))


class PrincipalWords(Words):
    """`[principals.NAME]`."""

    roles: list[RoleName] = Field(max_length=limits.ROLES_MAX)
    nodes: list[Node] = Field(max_length=limits.LINK_PEERS_MAX)


class RolesWords(Words):
    """The whole file."""

    version: int = Field(ge=1, le=VERSION_MAX)
    roles: dict[RoleName, RoleWords] = Field(max_length=limits.ROLES_MAX)
    principals: dict[PrincipalName, PrincipalWords] = Field(default_factory=dict, max_length=limits.PRINCIPALS_MAX)

    @model_validator(mode="after")
    def consistent(self) -> "RolesWords":
        """One bit, one role; every role and stream that is named is there."""
        if len({role.bit for role in self.roles.values()}) != len(self.roles):
            raise ValueError("two roles have the same bit; give each its own")
        for name, role in self.roles.items():
            strange = next((stream for stream in role.streams if stream not in STREAMS and stream != ALL), None)
            if strange is not None:
                raise ValueError(f"roles.{name}: {strange!r} is no stream; use {', '.join(STREAMS)} or {ALL}")
        for name, principal in self.principals.items():
            strange = next((role for role in principal.roles if role not in self.roles), None)
            if strange is not None:
                raise ValueError(f"principals.{name}: there is no role {strange}; write [roles.{strange}]")
        return self


class Rights(NamedTuple):
    """What one principal may."""

    role_bits: int
    nodes: frozenset[int]


class Roles:
    """A roles file that is believed. Immutable."""

    def __init__(self, words: RolesWords, content: bytes = b""):
        self.version, self.content = words.version, content
        self._streams = {role.bit: _mask(role.streams) for role in words.roles.values()}
        bits = {name: 1 << role.bit for name, role in words.roles.items()}
        self.bits = bits
        self._rights = {
            principal_bytes(name): Rights(sum({bits[role] for role in principal.roles}), frozenset(principal.nodes))
            for name, principal in words.principals.items()
        }

    def bits_of(self, principal: str) -> int:
        """All role bits of a principal; 0 for one that is not named."""
        rights = self._rights.get(principal_bytes(principal)) if principal else None
        return rights.role_bits if rights else 0

    def refuses(self, token: Token, peer_node: int, stream: Stream) -> Reason | None:
        """Why the token's principal may not read the stream through this peer."""
        rights = self._rights.get(token.principal)
        if rights is None:
            return Reason.PRINCIPAL
        if peer_node not in rights.nodes:
            return Reason.NODE
        if token.role_bits & ~rights.role_bits:
            return Reason.ROLE  # it claims a role that it does not have
        readable = any(token.role_bits >> bit & 1 and streams & stream for bit, streams in self._streams.items())
        return None if readable else Reason.ROLE


def _mask(streams: list[str]) -> Stream:
    mask = Stream(0)
    for stream in streams:
        mask |= Stream(sum(STREAMS.values())) if stream == ALL else STREAMS[stream]
    return mask


FORM = signed_file.Form(KIND, RolesWords, Roles)
