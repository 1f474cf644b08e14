"""A definition's mapping against a schema: which rows concern which template, and where each named field stands.

Between definition.py and normaliser.py. Hard rule: a name that nobody has is an error that lists what it could have been;
whoever reads a plan looks nothing up any more.
"""

import fnmatch
from dataclasses import dataclass

from gateway.errors import ConfigurationError
from gateway.protocols.sbe.emit import find_constant, find_leaf
from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import Composite, Data, Field, Group, Message, Schema
from gateway.venues.definition import Condition, Definition, MapRow, Value
from gateway.venues.definition_file import suggest

PACKET_NUMBERS = ("sequence", "time", "channel", "type", "session")


@dataclass(frozen=True)
class Found:
    """A field: `level` says in which block, -1 the packet header, -2 the message header, 0 the root, n the n-th group in.

    One of `leaf`, `data` and `constant` is set; a packet number has its name alone.
    """

    name: str
    level: int
    leaf: Leaf | None = None
    data: Data | None = None
    constant: int | float | str | None = None
    data_index: int = 0


@dataclass(frozen=True)
class PlannedRow:
    """A row of the mapping for one template: `groups` is the path of groups it walks, outermost first."""

    number: int
    row: MapRow
    message: Message
    groups: tuple[Group, ...]


class Plan:
    """Every row of a definition, template by template, in the file's order."""

    def __init__(self, definition: Definition, schema: Schema):
        self.definition, self.schema = definition, schema
        self.rows: dict[int, list[PlannedRow]] = {}
        for number, row in enumerate(definition.map, 1):
            self._plan(number, row)

    def _plan(self, number: int, row: MapRow) -> None:
        lenient = any("*" in str(name) for name in row.message)
        taken = 0
        problem: ConfigurationError | None = None
        messages = self._messages(number, row, lenient)
        for message in messages:
            groups = self._groups(number, row, message, lenient)
            if groups is None:
                continue
            planned = PlannedRow(number, row, message, groups)
            try:
                self.check(planned)
            except ConfigurationError as missing:
                problem = missing
                if not lenient:
                    raise
                continue
            taken += 1
            self.rows.setdefault(message.id, []).append(planned)
        if problem is not None and not taken:
            raise problem

    def _messages(self, number: int, row: MapRow, lenient: bool) -> list[Message]:
        """The templates a row names, each once; names with * match any number of them."""
        found: dict[int, Message] = {}
        names = {message.name: message for message in self.schema.messages.values()}
        for name in row.message:
            if isinstance(name, int):
                matches = [self.schema.messages[name]] if name in self.schema.messages else []
            else:
                matches = [names[key] for key in names if fnmatch.fnmatchcase(key, name)]
            if not matches and not lenient:
                raise self.error(number, f"the schema has no message {name!r}; {suggest(str(name), list(names))}")
            found.update((message.id, message) for message in matches)
        return list(found.values())

    def _groups(self, number: int, row: MapRow, message: Message, lenient: bool) -> tuple[Group, ...] | None:
        block: Message | Group = message
        path: list[Group] = []
        for name in row.group.split(".") if row.group else []:
            group = next((group for group in block.groups if group.name == name), None)
            if group is None:
                if lenient:
                    return None
                known = [group.name for group in block.groups]
                raise self.error(number, f"{block.name} has no group {name!r}; {suggest(name, known)}")
            path.append(group)
            block = group
        return tuple(path)

    def check(self, planned: PlannedRow) -> None:
        """Every name of a row is looked up once, so that what is missing is found before anything runs."""
        row = planned.row
        for key in type(row).model_fields:
            value = getattr(row, key)
            if isinstance(value, Value):
                if value.field:
                    self.find_value(planned, key, value)
                if isinstance(value.exponent, str):
                    self.find(planned, f"{key}.exponent", value.exponent)
                if value.index:
                    self.find(planned, f"{key}.index", value.index)
        for name, condition in row.when.items():
            self.find(planned, f"when.{name}", name)
            if isinstance(condition, Condition) and condition.same_as:
                self.find(planned, f"when.{name}.same_as", condition.same_as)

    def find_value(self, planned: PlannedRow, key: str, value: Value) -> Found:
        """The first of a value's fields that the message has."""
        if value.of:
            group = self.group_of(planned, key, value)
            return self._among(planned, key, value.field, [(1, group.fields, group.data)])
        problem = None
        for name in value.field:
            try:
                return self.find(planned, key, name)
            except ConfigurationError as missing:
                problem = problem or missing
        if value.default is not None and len(value.field) > 1:
            return Found(value.field[0], 0, constant=None)
        assert problem is not None
        raise problem

    def group_of(self, planned: PlannedRow, key: str, value: Value) -> Group:
        """The group beside this one that a value is taken from: one without groups or data of its own."""
        group = next((group for group in planned.message.groups if group.name == value.of), None)
        if group is None:
            known = [group.name for group in planned.message.groups]
            raise self.error(
                planned.number, f"{key}: {planned.message.name} has no group {value.of!r}; {suggest(value.of, known)}"
            )
        if group.groups or group.data:
            raise self.error(
                planned.number, f"{key}: entries of {value.of} are of different lengths; an index cannot find them"
            )
        return group

    def find(self, planned: PlannedRow, key: str, name: str) -> Found:
        """A name as the row sees it: its own entry first, then the blocks around it, header.NAME and packet.NAME."""
        head, _, rest = name.partition(".")
        if head == "header" and rest:
            header = self.schema.header
            return self._among(planned, key, [rest], [(-2, header.members, ())])
        if head == "packet" and rest:
            if rest not in PACKET_NUMBERS or getattr(self.definition.packet, rest) is None:
                has = [number for number in PACKET_NUMBERS if getattr(self.definition.packet, number)]
                raise self.error(planned.number, f"{key}: [packet] has no {rest}; {suggest(rest, has)}")
            return Found(rest, -1)
        blocks: list[tuple[int, tuple[Field, ...], tuple[Data, ...]]] = [
            (level, group.fields, group.data) for level, group in enumerate(planned.groups, 1)
        ]
        blocks.insert(0, (0, planned.message.fields, planned.message.data))
        return self._among(planned, key, [name], blocks[::-1])

    def _among(
        self,
        planned: PlannedRow,
        key: str,
        names: list[str],
        blocks: list[tuple[int, tuple[Field, ...], tuple[Data, ...]]],
    ) -> Found:
        for name in names:
            for level, fields, data in blocks:
                leaf = find_leaf(fields, name)
                if leaf is not None:
                    return Found(name, level, leaf=leaf)
                constant = find_constant(fields, name)
                if constant is not None:
                    return Found(name, level, constant=constant)
                for index, item in enumerate(data):
                    if item.name == name:
                        return Found(name, level, data=item, data_index=index)
        raise self.error(planned.number, self._unknown(planned, key, names[0], blocks))

    def _unknown(
        self,
        planned: PlannedRow,
        key: str,
        name: str,
        blocks: list[tuple[int, tuple[Field, ...], tuple[Data, ...]]],
    ) -> str:
        composite = next(
            (
                field
                for _, fields, _ in blocks
                for field in fields
                if field.name == name and isinstance(field.type, Composite)
            ),
            None,
        )
        if composite is not None and isinstance(composite.type, Composite):
            members = [f"{name}.{member.name}" for member in composite.type.members]
            return f"{key}: {name!r} of {planned.message.name} is a composite; write one of {', '.join(members)}"
        known = [leaf.name for _, fields, _ in blocks for leaf in leaves(fields)]
        known += [item.name for _, _, data in blocks for item in data]
        where = f"{planned.groups[-1].name} of {planned.message.name}" if planned.groups else planned.message.name
        return f"{key}: no field {name!r} in {where}; {suggest(name, known)}"

    def error(self, number: int, text: str) -> ConfigurationError:
        """What is wrong with a row, in one line."""
        return ConfigurationError(f"feed {self.definition.name}: map[{number}]: {text}")
