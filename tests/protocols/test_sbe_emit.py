"""The sentences that generated kernels are made of: passing over groups and data, loading one field, telling null."""

import math
import random

import numpy as np
import pytest

from gateway.core.kernel import kernel
from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import find_constant, find_leaf, indent
from gateway.protocols.sbe.generator import refuse
from gateway.protocols.sbe.leaves import leaves
from gateway.protocols.sbe.model import Message, Schema
from tests.fuzz.sbe_mutations import Mill
from tests.protocols.sbe_kernels import REASONS, Kernels
from tests.protocols.sbe_messages import RandomMessages, everything

SEED = 20261121


def compiled(name: str, parameters: str, lines: list[str]):
    """A kernel from lines of generated text."""
    names: dict = {}
    exec(emit.IMPORTS + "\n".join([f"def {name}({parameters}):", *indent(lines)]), names)
    return kernel(names[name])


def passing(schema: Schema, message: Message):
    """A kernel that passes over a whole message and returns the bytes it takes."""
    lines = emit.check_root(message.fields, "block_length", "size", refuse)
    lines += ["end = address + size", "cursor = address + block_length"]
    lines += emit.pass_inner(message.groups, message.data, "g", schema.big_endian, refuse)
    return compiled("walk", "address, size, block_length, version", [*lines, "return cursor - address"])


@pytest.mark.slow
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("template", [2, 3])
def test_passing_over_a_message_takes_what_the_interpreter_takes_or_refuses_alike(big_endian, template):
    schema = everything(big_endian)
    mill = Mill(schema, template, random.Random(SEED))
    walk = passing(schema, schema.messages[template])
    outcomes = set()
    for number in range(600):
        body, length, version = mill.damage(*mill.make())
        area = np.frombuffer(body + b"\0", np.uint8)
        code = walk(area.ctypes.data, len(body), length, version)
        expected = mill.kernels.by_interpreter(body, length, version)
        if expected == ("refused", "message_field"):  # a value nobody looked at
            continue
        outcomes.add(expected[0] == "refused")
        found = ("refused", REASONS[-code]) if code < 0 else code
        assert found == (expected if expected[0] == "refused" else expected[1]), f"seed {SEED}, number {number}"
    assert outcomes == {True, False}


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_loaded_field_is_the_interpreters_and_null_is_told(big_endian):
    schema = everything(big_endian)
    message = schema.messages[1]
    source = RandomMessages(schema, random.Random(SEED))
    names = ["tiny", "low", "number", "single", "maybe", "state", "late", "month.year"]
    found = [find_leaf(message.fields, name) for name in names]
    loads = {leaf.name: compiled("load", "block", [f"return {emit.load(leaf, 'block', big_endian)}"]) for leaf in found}
    nulls = {leaf.name: compiled("null", "number", [f"return {emit.is_null(leaf, 'number')}"]) for leaf in found}
    seen = set()
    for _ in range(200):
        body, length = source.body(message, schema.version)
        values, _ = Kernels.by_interpreter(OneMessage(schema, message), body, length, schema.version)
        if values == "refused":
            continue
        area = np.frombuffer(body, np.uint8)
        for leaf in found:
            number = loads[leaf.name](area.ctypes.data)
            head, _, rest = leaf.name.partition(".")
            expected = values[head][rest] if rest else values[head]
            assert nulls[leaf.name](number) == (expected is None)
            seen.add((leaf.name, expected is None))
            if isinstance(expected, float):
                assert number == expected or math.isnan(number)
            elif isinstance(expected, int) and leaf.name != "state":
                assert number == expected
    assert {("maybe", True), ("maybe", False), ("state", True), ("month.year", True)} <= seen


class OneMessage:
    """As much of Kernels as the interpreter needs."""

    def __init__(self, schema: Schema, message: Message):
        self.schema, self.message = schema, message


def test_a_decimal_goes_by_its_fields_name_and_constants_are_found_beside_it():
    fields = everything(False).messages[1].fields
    price = find_leaf(fields, "price")
    assert price is not None and price.mantissa and price.primitive == "int64"
    assert price.null == -(1 << 63)
    assert find_constant(fields, "price.exponent") == -9
    assert find_leaf(fields, "price.exponent") is None
    assert find_leaf(fields, "floating.Exponent").primitive == "int8"
    assert find_constant(fields, "tiny") is None
    assert find_constant(fields, "nothing") is None


def test_presence_is_asked_for_only_where_a_field_is_young():
    fields = everything(False).messages[1].fields
    conditions = {leaf.name: emit.present(leaf) for leaf in leaves(fields)}
    assert conditions["tiny"] == "True"
    assert conditions["state"] == "version >= 3"
    assert emit.all_present(list(leaves(fields))) == "version >= 5"


def test_the_least_block_of_a_version_ends_with_its_last_field():
    fields = everything(False).messages[1].fields
    least = compiled("least", "version", [f"return {emit.block_least(fields)}"])
    late = find_leaf(fields, "late")
    assert least(5) == least(9) == late.end
    assert least(4) == least(3) == late.offset
    assert least(2) == late.offset - 1
    assert least(0) == least(1) == late.offset - 2
