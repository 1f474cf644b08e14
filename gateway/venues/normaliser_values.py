"""Source text of one value of a mapping ④: a field, constant or packet number, its null, its table, its units.

Part of the normaliser generator (normaliser.py). Every value becomes variables of its own: NAME the number, NAME_null
whether it is absent. Hard rule: a load is emitted only for a block whose length the text has compared before.
"""

from dataclasses import dataclass, field

from gateway.layout import value as enumerator
from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import INDENT, Lines
from gateway.protocols.sbe.leaves import Leaf
from gateway.protocols.sbe.model import Enum, Set
from gateway.venues.definition import EVENTS, SIDES, STATES, UNITS_NS, Condition, Number, Value
from gateway.venues.definition_file import suggest
from gateway.venues.header_layout import place_of
from gateway.venues.plan import Found, Plan, PlannedRow

ZEROED, REQUEUED = 1 << 8, 1 << 9
KINDS = {name: enumerator(f"EVENT_{name.upper()}") for name in EVENTS if name not in ("level_delete", "set_requeued")}
KINDS["level_delete"] = KINDS["level"] | ZEROED
KINDS["set_requeued"] = KINDS["set"] | REQUEUED
WORDS = {
    "event": KINDS,
    "side": {name: enumerator(f"SIDE_{name.upper()}") for name in SIDES},
    "state": {name: enumerator(f"TRADING_{name.upper()}") for name in STATES},
}
PACKED = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


@dataclass
class RowText:
    """The text of one row of the mapping as it grows. `tables` is shared by the whole module: text → name."""

    plan: Plan
    planned: PlannedRow
    tables: dict[str, str]
    lines: Lines = field(default_factory=list)
    names: int = 0
    look_up: str = ""  # the text that finds the row of this row's instrument, its layer still to be put in

    @property
    def big_endian(self) -> bool:
        """Byte order of the schema."""
        return self.plan.schema.big_endian

    def new(self) -> str:
        """A variable nobody has yet."""
        self.names += 1
        return f"v{self.names}"

    def say(self, *lines: str) -> None:
        """More text."""
        self.lines += lines

    def fail(self, key: str, text: str) -> Exception:
        """What is wrong with a key of this row."""
        return self.plan.error(self.planned.number, f"{key}: {text}")

    def block_of(self, level: int) -> str:
        """Variable of the block a level means."""
        return {-2: "header", 0: "block"}.get(level, f"e{level}")

    def found(self, key: str, value: Value) -> tuple[Found, str]:
        """(field, address of its block) of a value; of another group: the entry that its index counts, 0 for none."""
        found = self.plan.find_value(self.planned, key, value)
        if not value.of:
            return found, self.block_of(found.level)
        group = self.plan.group_of(self.planned, key, value)
        at = f"g{self.planned.message.groups.index(group)}"
        index = self.number(key, self.plan.find(self.planned, key, value.index))
        block = self.new()
        self.say(
            f"{block} = 0",
            f"if not {index}_null and 1 <= {index} <= {at}_count:",
            f"{INDENT}{block} = {at}_at + ({index} - 1) * {at}_bytes",
        )
        return found, block

    def number(self, key: str, found: Found, block: str | None = None) -> str:
        """A field's number as it stands on the wire (of a double: its bits); returns the variable."""
        name = self.new()
        if found.level == -1:
            self._packet_number(name, found.name)
            return name
        if found.leaf is None:
            constant = found.constant
            if isinstance(constant, str) and len(constant) == 1:
                constant = ord(constant)
            if not isinstance(constant, int):
                if found.data is None and constant is None:
                    self.say(f"{name}, {name}_null = 0, True")
                    return name
                raise self.fail(key, f"{found.name} is text; here a number is needed")
            self.say(f"{name}, {name}_null = {constant}, False")
            return name
        leaf = found.leaf
        if leaf.length != 1:
            raise self.fail(key, f"{found.name} is text or a list; here a number is needed")
        self._load(name, leaf, block if block is not None else self.block_of(found.level), "of" if block else "")
        return name

    def _load(self, name: str, leaf: Leaf, block: str, of: str) -> None:
        if leaf.kind == "float":
            primitive = "uint32" if leaf.width == 4 else "int64"
            load = emit.load_number(primitive, emit.at(block, leaf.offset), self.big_endian)
            mantissa, exponent = ("0x7FFFFF", "0x7F800000") if leaf.width == 4 else ("0xFFFFFFFFFFFFF", "0x7FF0000000000000")
            null = f"{name} & {exponent} == {exponent} and {name} & {mantissa} != 0"
        else:
            load = emit.load(leaf, block, self.big_endian)
            null = emit.is_null(leaf, name)
        conditions = [f"version >= {leaf.since}"] if leaf.since else []
        conditions += [f"{block} != 0"] if of else []
        if not conditions:
            self.say(f"{name} = {load}", f"{name}_null = {null}")
            return
        self.say(f"{name}, {name}_null = 0, True", f"if {' and '.join(conditions)}:")
        self.say(f"{INDENT}{name} = {load}", f"{INDENT}{name}_null = {null}")

    def _packet_number(self, name: str, key: str) -> None:
        definition = self.plan.definition
        number = getattr(definition.packet, key)
        if not isinstance(number, Number):
            self.say(f"{name}, {name}_null = 0, True")
            return
        place = place_of(definition, number, definition.packet)
        kind = PACKED[place.width]
        kind = kind[1:] if place.signed else kind
        self.say(
            f"{name} = {emit.load_number(kind, emit.at('packet', place.offset), place.big_endian)}", f"{name}_null = False"
        )

    def code(self, key: str, value: Value, words: dict[str, int] | None = None) -> str:
        """A value through its table: an expression that is ABSENT where the table has no such value."""
        if value.constant is not None:
            return str(self._word(key, value.constant, words))
        found, block = self.found(key, value)
        name = self.number(key, found, block if value.of else None)
        if value.bit is not None:
            self.say(f"{name} = ({name} >> {self._bit(key, value.bit, found)}) & 1")
        default = "ABSENT" if value.default is None else str(self._word(key, value.default, words))
        if value.values is None:
            raise self.fail(key, f"write values = {{ … }}: which of its values mean {', '.join(list(words or {})[:4])} …")
        table = self._table(key, value, found, words, default)
        self.say(f"{name} = {default} if {name}_null else {table}({name})")
        return name

    def _table(self, key: str, value: Value, found: Found, words: dict[str, int] | None, default: str) -> str:
        """Name of the function that looks a wire value up."""
        lines = []
        for text, word in (value.values or {}).items():
            wire = self.wire(key, found, text, value.bit is not None)
            lines += [f"{INDENT}if code == {wire}:", f"{INDENT * 2}return {self._word(key, word, words)}"]
        text = "\n".join([*lines, f"{INDENT}return {default}"])
        return self.tables.setdefault(text, f"table_{len(self.tables)}")

    def _word(self, key: str, word: int | str, words: dict[str, int] | None) -> int:
        if words is None:
            if isinstance(word, int):
                return word
            raise self.fail(key, f"{word!r} is no whole number")
        if isinstance(word, str) and word in words:
            return words[word]
        raise self.fail(key, f"{word!r} is no {key}; {suggest(str(word), list(words))}")

    def wire(self, key: str, found: Found, text: str | int, bit: bool = False) -> int:
        """The wire value that a definition writes as a name, a character or a number."""
        leaf = found.leaf
        kind = leaf.field.type if leaf else None
        if isinstance(kind, Enum) and not bit:
            named = {name: number for number, name in kind.values}
            if text in named:
                return emit.signed(named[str(text)])
        if leaf is not None and leaf.kind == "char" and isinstance(text, str) and len(text) == 1:
            return ord(text)
        try:
            return int(text) if isinstance(text, int) else int(text, 0)
        except ValueError:
            known = [name for _, name in kind.values] if isinstance(kind, Enum) else []
            raise self.fail(key, f"{found.name} has no value {text!r}; {suggest(str(text), known)}") from None

    def _bit(self, key: str, bit: str | int, found: Found) -> int:
        kind = found.leaf.field.type if found.leaf else None
        if isinstance(bit, int):
            return bit
        choices = {name: number for number, name in kind.choices} if isinstance(kind, Set) else {}
        if bit not in choices:
            raise self.fail(key, f"{found.name} has no bit {bit!r}; {suggest(bit, list(choices))}")
        return choices[bit]

    def condition(self, name: str, condition: Condition) -> str:
        """Expression that is true when a row applies."""
        key = f"when.{name}"
        found = self.plan.find(self.planned, key, name)
        variable = self.number(key, found)
        tests = []
        if condition.null is not None:
            tests.append(f"{variable}_null" if condition.null else f"not {variable}_null")
        if condition.values is not None:
            wires = " or ".join(f"{variable} == {self.wire(key, found, text)}" for text in condition.values)
            tests.append(f"not {variable}_null and ({wires})")
        if condition.without is not None:
            wires = " and ".join(f"{variable} != {self.wire(key, found, text)}" for text in condition.without)
            tests.append(f"({variable}_null or ({wires}))")
        if condition.bit is not None:
            is_set = f"({variable} >> {self._bit(key, condition.bit, found)}) & 1 {'!=' if condition.set else '=='} 0"
            tests.append(f"not {variable}_null and {is_set}")
        if condition.same_as:
            other = self.number(key, self.plan.find(self.planned, key, condition.same_as))
            tests.append(f"{variable} == {other}")
        if not tests:
            raise self.fail(key, "write a value, a list of values, or null, without, bit, same_as")
        return " and ".join(tests)

    def whole(self, key: str, value: Value) -> str:
        """A whole number, NAME and NAME_null; a table's number, or a default, where the value has one."""
        if value.values is not None:
            name = self.code(key, value)
            self.say(f"{name}_null = {name} == ABSENT")
            return name
        found, block = self.found(key, value)
        name = self.number(key, found, block if value.of else None)
        if value.bit is not None:
            self.say(f"{name} = ({name} >> {self._bit(key, value.bit, found)}) & 1")
        if value.scale != 1:
            self.say(f"{name} *= {value.scale}")
        if value.unit != "ns":
            self.say(f"{name} *= {UNITS_NS[value.unit]}")
        if value.default is not None:
            self.say(f"if {name}_null:", f"{INDENT}{name}, {name}_null = {self._word(key, value.default, None)}, False")
        return name

    def plain(self, key: str, value: Value | None, default: int = 0) -> str:
        """A whole number that may be absent: then its default, or `default`."""
        if value is None:
            return str(default)
        if value.constant is not None:
            return str(self._word(key, value.constant, None))
        name = self.whole(key, value)
        if self.lines[-1] != f"{name}_null = False":
            self.say(f"if {name}_null:", f"{INDENT}{name} = {default}")
        return name

    def needed(self, key: str, value: Value) -> str:
        """A whole number without which the row does not apply."""
        if value.constant is not None:
            return str(self._word(key, value.constant, None))
        name = self.whole(key, value)
        if self.lines[-1] != f"{name}_null = False":
            self.say(f"if {name}_null:", f"{INDENT}return 0")
        return name
