"""What an SBE schema says, resolved: every offset, size, null value and constant, and nothing of its XML.

Written by schema.py, read by the interpreter and the generator. FIX SBE 1.0 sections 2 to 4. Hard rule: a model is complete:
whoever reads it never looks up a name, and every offset in it is a byte offset from the start of its own block.
"""

from dataclasses import dataclass, field

# Members of a message header that hold the whole message's size, the header included.
MESSAGE_LENGTHS = ("messageLength", "frameLength")
REQUIRED, OPTIONAL, CONSTANT = "required", "optional", "constant"

# name → (bytes, kind)
PRIMITIVES = {
    "char": (1, "char"),
    "int8": (1, "int"),
    "int16": (2, "int"),
    "int32": (4, "int"),
    "int64": (8, "int"),
    "uint8": (1, "uint"),
    "uint16": (2, "uint"),
    "uint32": (4, "uint"),
    "uint64": (8, "uint"),
    "float": (4, "float"),
    "double": (8, "float"),
}


@dataclass(frozen=True)
class Type:
    """A simple type. `length` counts elements: 1 a scalar, more an array (of char: text), 0 the bytes of variable data.

    `null` is the wire value that says null (None: the type has none; NaN for floats); `constant` the value of a constant,
    int, float or text, which takes no bytes; `encoding` the character encoding the schema names.
    """

    name: str
    primitive: str
    length: int = 1
    presence: str = REQUIRED
    null: int | float | None = None
    constant: int | float | str | None = None
    since: int = 0
    encoding: str = ""

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return 0 if self.presence == CONSTANT else PRIMITIVES[self.primitive][0] * self.length


@dataclass(frozen=True)
class Enum:
    """An enumeration: wire value → name, in schema order. Values of a char encoding are their byte."""

    name: str
    primitive: str
    values: tuple[tuple[int, str], ...]
    null: int | None = None
    since: int = 0

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return PRIMITIVES[self.primitive][0]


@dataclass(frozen=True)
class Set:
    """A bit set: bit → name, in schema order."""

    name: str
    primitive: str
    choices: tuple[tuple[int, str], ...]
    since: int = 0

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return PRIMITIVES[self.primitive][0]


@dataclass(frozen=True)
class Field:
    """A field of a block, or a member of a composite: `offset` in bytes from the start of that block or composite.

    `presence`, `null` and `constant` are the field's own where it has them, else its type's: read them here, not there. A
    constant enum field has the enum's wire value in `constant`. `null` of a decimal is its mantissa's. `exponent` names the
    field, of this block or of one around it, that holds the decimal exponent of this mantissa, where the schema says so by
    an attribute (Binance: mbx:exponent); or it is the exponent itself, in digits.
    """

    name: str
    type: "FieldType"
    offset: int
    id: int = 0
    presence: str = REQUIRED
    null: int | float | None = None
    constant: int | float | str | None = None
    since: int = 0
    semantic_type: str = ""
    exponent: str = ""

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return 0 if self.presence == CONSTANT else self.type.size


@dataclass(frozen=True)
class Composite:
    """Members one after another. A decimal is one with members `mantissa` and `exponent`, the latter often constant."""

    name: str
    members: tuple[Field, ...]
    size: int
    since: int = 0

    def member(self, name: str) -> Field | None:
        """The member of this name, or None."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def is_decimal(self) -> bool:
        """Whether it is a decimal number: a whole number and its exponent, nothing else."""
        whole = all(isinstance(member.type, Type) and _is_whole(member.type) for member in self.members)
        if not whole or len(self.members) != 2 or sum(map(_is_exponent, self.members)) != 1:
            return False
        return self.mantissa.presence != CONSTANT

    @property
    def mantissa(self) -> Field:
        """Of a decimal: its mantissa, whatever the venue calls it (Coinbase: price9)."""
        return next(member for member in self.members if not _is_exponent(member))

    @property
    def exponent(self) -> Field:
        """Of a decimal: its exponent, often constant."""
        return next(member for member in self.members if _is_exponent(member))


def _is_exponent(member: Field) -> bool:
    return member.name.lower() == "exponent"  # MEMX writes Exponent


def _is_whole(type_: Type) -> bool:
    return type_.length == 1 and PRIMITIVES[type_.primitive][1] in ("int", "uint")


FieldType = Type | Enum | Set | Composite


def block_end(fields: tuple[Field, ...], version: int) -> int:
    """Bytes that a block of this acting version has at least: the end of its last field that is not younger."""
    return max((field.offset + field.size for field in fields if field.since <= version), default=0)


@dataclass(frozen=True)
class Data:
    """Variable-length data: a length, then that many bytes. `length` and `data` are members of `composite`."""

    name: str
    composite: Composite
    id: int = 0
    since: int = 0
    semantic_type: str = ""

    @property
    def length(self) -> Field:
        """The length in front."""
        return self.composite.members[0]

    @property
    def data(self) -> Field:
        """The type of the bytes: char or uint8, text unless it has no character encoding."""
        return self.composite.members[-1]


@dataclass(frozen=True)
class Group:
    """A repeating group. `dimension` has members blockLength and numInGroup, by whatever offsets and further members."""

    name: str
    dimension: Composite
    block_length: int
    fields: tuple[Field, ...]
    groups: tuple["Group", ...] = ()
    data: tuple[Data, ...] = ()
    id: int = 0
    since: int = 0


@dataclass(frozen=True)
class Message:
    """A message template: its root block, then groups, then variable data, in this order on the wire."""

    name: str
    id: int
    block_length: int
    fields: tuple[Field, ...]
    groups: tuple[Group, ...] = ()
    data: tuple[Data, ...] = ()
    since: int = 0


def block_length_at(block: Message | Group, version: int, schema_version: int) -> int:
    """Block length that a writer of this acting version used: the schema's, or up to the last field there was then."""
    return block.block_length if version >= schema_version else block_end(block.fields, version)


@dataclass(frozen=True)
class Schema:
    """A whole schema. `header` is the composite before every message; `digest` identifies the model, not the file's text.

    A message whose first field is the header itself (Deribit) is listed without it: the root block begins behind the header.
    """

    package: str
    id: int
    version: int
    big_endian: bool
    header: Composite
    messages: dict[int, Message]
    types: dict[str, FieldType] = field(default_factory=dict)
    digest: str = ""

    def message_named(self, name: str) -> Message | None:
        """The template of this name, or None."""
        return next((message for message in self.messages.values() if message.name == name), None)
