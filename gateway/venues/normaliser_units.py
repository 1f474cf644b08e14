"""Source text of prices, quantities and texts of a mapping ④: whatever their type, in the instrument's units.

Part of the normaliser generator (normaliser.py), above normaliser_values.py. Hard rule: a number keeps its status (exact,
off, refused) until the event is written; nothing is rounded unsaid.
"""

from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import INDENT
from gateway.venues.definition import Value
from gateway.venues.normaliser_values import RowText
from gateway.venues.plan import Found


class AmountText(RowText):
    """The text of one row, with values that are amounts or texts."""

    def text(self, key: str, value: Value) -> tuple[str, str] | None:
        """(address, bytes) of a value that is text; None when it is a number."""
        found, block = self.found(key, value)
        if found.data is not None:
            name = f"d{found.data_index}" if found.level == 0 else f"e{found.level}_d{found.data_index}"
            return name, f"{name}_bytes"
        leaf = found.leaf
        if leaf is None or leaf.primitive != "char" or leaf.length == 1:
            return None
        size = self.new()
        self.say(f"{size} = 0")
        if leaf.since:
            self.say(f"if version >= {leaf.since}:")
        inner = INDENT if leaf.since else ""
        self.say(f"{inner}{size} = text_bytes({emit.at(block, leaf.offset)}, {leaf.length})")
        return emit.at(block, leaf.offset), size

    def units(self, key: str, value: Value, exponent: str) -> str:
        """Price or quantity in the row's own units; the variables are NAME, NAME_null and NAME_status."""
        name = self.new()
        if value.constant is not None:
            self.say(f"{name}, {name}_status, {name}_null = {self.plain(key, value)}, 0, False")
            return name
        text = self.text(key, value)
        if text is not None:
            self.say(
                f"{name}, {name}_status = units_from_text({text[0]}, {text[1]}, {exponent})", f"{name}_null = {text[1]} == 0"
            )
            return name
        found, block = self.found(key, value)
        raw = self.number(key, found, block if value.of else None)
        leaf = found.leaf
        self.say(f"{name}, {name}_status, {name}_null = 0, 0, {raw}_null")
        if leaf is not None and leaf.kind == "float":
            bits = raw if leaf.width == 8 else f"double_of_single({raw})"
            call = f"units_from_double({bits}, {exponent}, 0)"
        elif (own := self._exponent(key, value, found, block)) is not None:
            call = f"scaled({raw}, {own}, {exponent})"
        else:
            unsigned = leaf is not None and leaf.kind == "uint" and leaf.width == 8
            call = f"unsigned_units({raw})" if unsigned else f"plain_units({raw})"
        self.say(f"if not {raw}_null:", f"{INDENT}{name}, {name}_status = {call}")
        if value.default is not None:
            self.say("else:", f"{INDENT}{name}, {name}_null = {self._word(key, value.default, None)}, False")
        return name

    def _exponent(self, key: str, value: Value, found: Found, block: str) -> str | None:
        """Expression of the decimal exponent of a mantissa; None: a whole number of units as it is."""
        if isinstance(value.exponent, int):
            return str(value.exponent)
        if value.exponent is not None:
            return self.number(key, self.plan.find(self.planned, key, value.exponent))
        leaf = found.leaf
        if leaf is None:
            return None
        if leaf.field.exponent:
            digits = leaf.field.exponent
            if digits.lstrip("-").isdigit():
                return digits
            return self.number(key, self.plan.find(self.planned, key, digits))
        return self._member_exponent(key, value, found, block) if leaf.mantissa else None

    def _member_exponent(self, key: str, value: Value, found: Found, block: str) -> str:
        """The exponent beside a mantissa in its composite, constant or on the wire."""
        name = f"{found.name}.exponent"
        if value.of:
            fields = self.plan.group_of(self.planned, key, value).fields
        else:
            fields = self.planned.groups[found.level - 1].fields if found.level > 0 else self.planned.message.fields
        constant = emit.find_constant(fields, name)
        if constant is not None:
            return str(int(constant))
        leaf = emit.find_leaf(fields, name)
        if leaf is None:
            raise self.fail(key, f"{found.name} has no exponent that could be found; write exponent = …")
        variable = self.new()
        self._load(variable, leaf, block, value.of)
        return variable
