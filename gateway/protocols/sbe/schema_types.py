"""Types of an SBE schema ④: simple types, enumerations, sets and composites, resolved wherever they refer to each other.

FIX SBE 1.0, sections 2 and 4.4, and the RC variants: `<types>` several times, in any order, references forward and back.
Hard rule: every type is resolved once and completely, or there is a SchemaError at the line that cannot be.
"""

from collections.abc import Iterator
from dataclasses import replace

from gateway.limits import SCHEMA_DEPTH_MAX, SCHEMA_MEMBERS_MAX, SCHEMA_TYPE_BYTES_MAX
from gateway.protocols.sbe.model import (
    CONSTANT,
    OPTIONAL,
    PRIMITIVES,
    REQUIRED,
    Composite,
    Enum,
    Field,
    FieldType,
    Set,
    Type,
)
from gateway.protocols.sbe.schema_values import default_null, read_constant, read_null, read_number, read_presence
from gateway.protocols.sbe.schema_xml import Element

TYPE_TAGS = ("type", "enum", "set", "composite")
FLOATS = ("float", "double")


def known_children(element: Element, *tags: str) -> Iterator[Element]:
    """Children with these tags; others are refused, unless they belong to a foreign namespace."""
    for child in element.children:
        if child.tag in tags:
            yield child
        elif child.namespace in ("", element.namespace):
            raise child.error(f"<{child.tag}> inside <{element.tag}>: expected {', '.join(f'<{tag}>' for tag in tags)}")


def unique(element: Element, what: str, key: object, seen: dict) -> None:
    """Refuses a key that stands earlier already, and says where; else notes it."""
    if key in seen:
        raise element.error(f"{what} {key!r} stands twice, first in line {seen[key].line}: remove or rename one")
    seen[key] = element


class Types:
    """Every named type of a schema, by name; resolves on demand."""

    def __init__(self, root: Element, version: int):
        self.version = version
        self.elements: dict[str, Element] = {}
        self.resolved: dict[str, FieldType] = {}
        self.open: list[str] = []
        for types in root.children:
            if types.tag == "types":
                for element in known_children(types, *TYPE_TAGS):
                    unique(element, "the type", element.name, self.elements)
                    self.elements[element.name] = element

    def named(self, name: str, where: Element) -> FieldType:
        """The type of this name, a primitive's included; refused at `where`."""
        if name in self.resolved:
            return self.resolved[name]
        element = self.elements.get(name)
        if element is None:
            if name in PRIMITIVES:
                return Type(name, name)
            raise where.error(f"the type {name!r} is not defined: add it to <types>, or correct the name")
        if name in self.open:
            raise element.error(f"the type {name!r} contains itself by way of {' → '.join([*self.open, name])}")
        if len(self.open) >= SCHEMA_DEPTH_MAX:
            raise element.error(f"types nest deeper than {SCHEMA_DEPTH_MAX}")
        self.open.append(name)
        self.resolved[name] = self.resolve(element)
        self.open.pop()
        return self.resolved[name]

    def resolve(self, element: Element) -> FieldType:
        """The type an element defines."""
        if element.tag == "type":
            return self._type(element)
        if element.tag == "enum":
            return self._enum(element)
        return self._set(element) if element.tag == "set" else self._composite(element)

    def all(self) -> dict[str, FieldType]:
        """Every named type."""
        return {name: self.named(name, element) for name, element in self.elements.items()}

    def since(self, element: Element) -> int:
        """Its sinceVersion, which the schema's version has reached."""
        since = element.number("sinceVersion")
        if since > self.version:
            raise element.error(f"sinceVersion={since} is above the schema's version {self.version}: correct one of them")
        return since

    def _type(self, element: Element) -> Type:
        primitive = element.required("primitiveType")
        if primitive not in PRIMITIVES:
            raise element.error(f"primitiveType={primitive!r}: it is one of {', '.join(PRIMITIVES)}")
        presence = read_presence(element) or REQUIRED
        length = element.number("length", 1)
        if length * PRIMITIVES[primitive][0] > SCHEMA_TYPE_BYTES_MAX:
            raise element.error(f"length={length}: a type has {SCHEMA_TYPE_BYTES_MAX} bytes at most")
        constant: int | float | str | None = None
        if presence == CONSTANT:
            constant = self.referred(element, primitive) if "valueRef" in element.attributes else None
            constant = read_constant(element, primitive, length) if constant is None else constant
            length = len(constant) if isinstance(constant, str) else 1
        null = read_null(element, primitive) if presence == OPTIONAL else None
        encoding = element.attributes.get("characterEncoding", "").strip()
        return Type(element.name, primitive, length, presence, null, constant, self.since(element), encoding)

    def _encoding(self, element: Element, allowed: tuple[str, ...]) -> Type:
        """The type behind an encodingType: a primitive or a named simple type."""
        found = self.named(element.required("encodingType"), element)
        if not isinstance(found, Type) or found.length != 1 or found.presence == CONSTANT:
            raise element.error(f"encodingType={found.name!r} is no scalar: name a primitive or a simple type")
        if found.primitive not in allowed:
            raise element.error(f"encodingType={found.name!r} is {found.primitive}: expected one of {', '.join(allowed)}")
        return found

    def _enum(self, element: Element) -> Enum:
        encoding = self._encoding(element, tuple(name for name in PRIMITIVES if name not in FLOATS))
        names: dict[str, Element] = {}
        values: dict[int, Element] = {}
        rows = []
        for child in known_children(element, "validValue"):
            value = int(read_number(child, encoding.primitive, child.text))
            unique(child, "the name", child.name, names)
            unique(child, "the value", value, values)
            rows.append((value, child.name))
        stated = "nullValue" in element.attributes
        null = read_null(element, encoding.primitive) if stated else encoding.null
        return Enum(element.name, encoding.primitive, tuple(rows), None if null is None else int(null), self.since(element))

    def _set(self, element: Element) -> Set:
        encoding = self._encoding(element, tuple(name for name in PRIMITIVES if name not in (*FLOATS, "char")))
        names: dict[str, Element] = {}
        bits: dict[int, Element] = {}
        rows = []
        for child in known_children(element, "choice"):
            bit = int(read_number(child, "uint8", child.text))
            if bit >= 8 * encoding.size:
                raise child.error(f"bit {bit} is outside {encoding.primitive}, which has bits 0 to {8 * encoding.size - 1}")
            unique(child, "the name", child.name, names)
            unique(child, "the bit", bit, bits)
            rows.append((bit, child.name))
        return Set(element.name, encoding.primitive, tuple(rows), self.since(element))

    def _composite(self, element: Element) -> Composite:
        names: dict[str, Element] = {}
        members: list[Field] = []
        end = 0
        for child in known_children(element, *TYPE_TAGS, "ref"):
            unique(child, "the member", child.name, names)
            if members and isinstance(members[-1].type, Type) and members[-1].type.length == 0:
                raise child.error(f"stands behind {members[-1].name!r}, which has no fixed length: it must be the last")
            kind = self.named(child.required("type"), child) if child.tag == "ref" else self.resolve(child)
            member = self.field(child, kind, end)
            members.append(member)
            end = member.offset + member.size
        if not members:
            raise element.error(f"the composite {element.name!r} has no members: add some, or remove it")
        if sum(_leaves(member.type) for member in members) > SCHEMA_MEMBERS_MAX:
            raise element.error(f"the composite {element.name!r} has more than {SCHEMA_MEMBERS_MAX} members")
        return Composite(element.name, tuple(members), end, self.since(element))

    def field(self, element: Element, kind: FieldType, end: int) -> Field:
        """A field or member of this type, at its offset or at `end`, where the one before it ends."""
        offset = element.number("offset", end)
        if offset < end:
            raise element.error(
                f"offset={offset} of {element.name!r} lies inside what stands before it, which ends at {end}"
            )
        presence, null, constant = self._presence(element, kind)
        plain = Field(element.name, kind, offset, presence=presence, null=null, constant=constant, since=self.since(element))
        if plain.offset + plain.size > SCHEMA_TYPE_BYTES_MAX:
            raise element.error(
                f"{element.name!r} ends at byte {plain.offset + plain.size}: {SCHEMA_TYPE_BYTES_MAX} is the most"
            )
        return replace(plain, semantic_type=element.attributes.get("semanticType", ""))

    def _presence(self, element: Element, kind: FieldType) -> tuple[str, int | float | None, int | float | str | None]:
        """Presence, null and constant of a field: what it says itself, else what its type says."""
        stated = read_presence(element)
        scalar = kind.mantissa.type if isinstance(kind, Composite) and kind.is_decimal else kind
        own = _type_presence(kind)
        presence = stated or own[0]
        if presence == CONSTANT:
            return CONSTANT, None, self._constant(element, kind, own[1])
        if own[0] == CONSTANT:
            raise element.error(f"the type {kind.name!r} is constant: presence={stated!r} cannot be")
        if presence == REQUIRED or isinstance(scalar, Set | Composite):
            return presence, None, None
        null = own[2] if own[2] is not None else default_null(scalar.primitive)
        if "nullValue" in element.attributes:
            null = read_null(element, scalar.primitive)
        return presence, null, None

    def _constant(self, element: Element, kind: FieldType, own: int | float | str | None) -> int | float | str:
        """The constant of a field: by valueRef, by its own text, or its type's."""
        if isinstance(kind, Composite | Set):
            raise element.error(f"{element.name!r} is constant, but {kind.name!r} is a {type(kind).__name__.lower()}")
        if "valueRef" in element.attributes:
            return self.referred(element, kind.primitive)
        if element.tag == "enum" or own is not None and (element.tag == "type" or not element.text.strip()):
            if own is None:
                raise element.error(f"{element.name!r} is constant and has no value: give it a valueRef")
            return own
        if isinstance(kind, Enum):
            name = element.text.strip()
            value = next((value for value, known in kind.values if known == name), None)
            return (
                int(read_number(element, kind.primitive, element.text))
                if value is None and name
                else self._found(element, value)
            )
        return read_constant(element, kind.primitive, kind.length)

    def _found(self, element: Element, value: int | None) -> int:
        if value is None:
            raise element.error(f"{element.name!r} is constant and has no value: give it a valueRef, e.g. Enum.Name")
        return value

    def referred(self, element: Element, primitive: str) -> int | str:
        """What valueRef="Enum.Name" means: the wire value; a character where a char type asks."""
        reference = element.required("valueRef")
        enum_name, dot, name = reference.rpartition(".")
        enum = self.named(enum_name, element) if dot else None
        if not isinstance(enum, Enum):
            raise element.error(f"valueRef={reference!r}: write it as Enum.Name, with an enumeration of <types>")
        value = next((value for value, known in enum.values if known == name), None)
        if value is None:
            raise element.error(f"valueRef={reference!r}: {enum_name} has no value named {name!r}")
        is_text = primitive == "char" and element.tag in ("type", "field") and self._is_simple(element)
        return chr(value) if is_text else value

    def _is_simple(self, element: Element) -> bool:
        """Whether what refers is a simple type rather than an enumeration."""
        return element.tag == "type" or not isinstance(self.named(element.required("type"), element), Enum)


def _leaves(kind: FieldType) -> int:
    """Members of a composite, those inside its members included; 1 for anything else."""
    return sum(_leaves(member.type) for member in kind.members) if isinstance(kind, Composite) else 1


def _type_presence(kind: FieldType) -> tuple[str, int | float | str | None, int | float | None]:
    """(presence, constant, null) of a type by itself."""
    if isinstance(kind, Type):
        return kind.presence, kind.constant, kind.null
    if isinstance(kind, Enum):
        return (REQUIRED if kind.null is None else OPTIONAL), None, kind.null
    if isinstance(kind, Composite) and kind.is_decimal:
        mantissa = kind.mantissa
        return (OPTIONAL if mantissa.presence == OPTIONAL else REQUIRED), None, mantissa.null
    return REQUIRED, None, None
