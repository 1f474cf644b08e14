"""Sixteen bytes at once ④: which of them are no digits, which end plain text, and what number their digits are.

For protocols that write numbers as text. Hard rule: each of these reads exactly 16 bytes at `address`; the caller has
checked that they are there. SSSE3 and SSE4.1, which the extension asks for too (x86-64-v2).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
BYTES, WORDS, HALVES = ir.VectorType(I8, 16), ir.VectorType(I16, 8), ir.VectorType(I32, 4)
DIGITS = 16
ZEROED = 0x80  # in a shuffle: this byte becomes 0


def _load(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, BYTES.as_pointer()), align=1)


def _every(value: int) -> Any:
    return ir.Constant(BYTES, [value] * 16)


def _mask(builder: Any, flags: Any) -> Any:
    return builder.zext(builder.bitcast(flags, I16), I64)


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic
def non_digits(typing_context, address):
    """Bit i is set where byte i is not '0' to '9'."""

    def generate(context, builder, signature, arguments):
        digits = builder.sub(_load(builder, arguments[0]), _every(ord("0")))
        return _mask(builder, builder.icmp_unsigned(">", digits, _every(9)))

    return types.int64(types.int64), generate


@intrinsic
def non_plain(typing_context, address):
    """Bit i is set where byte i cannot stand for itself within a JSON string: quote, backslash, control, not ASCII."""

    def generate(context, builder, signature, arguments):
        text = _load(builder, arguments[0])
        quote, backslash = (builder.icmp_unsigned("==", text, _every(ord(sign))) for sign in '"\\')
        # signed: bytes from 0x80 on are negative
        other = builder.icmp_signed("<", text, _every(0x20))
        return _mask(builder, builder.or_(builder.or_(quote, backslash), other))

    return types.int64(types.int64), generate


@intrinsic
def gathered_digits(typing_context, address, shuffle):
    """The number whose digits the 16 bytes of `shuffle` pick from those at `address`, last digit last; 10^16 - 1 at most."""

    def generate(context, builder, signature, arguments):
        text, order = (_load(builder, argument) for argument in arguments)
        digits = builder.sub(text, _every(ord("0")))
        digits = _call(builder, "llvm.x86.ssse3.pshuf.b.128", BYTES, digits, order)
        tens = ir.Constant(BYTES, [10, 1] * 8)
        pairs = _call(builder, "llvm.x86.ssse3.pmadd.ub.sw.128", WORDS, digits, tens)
        fours = _call(builder, "llvm.x86.sse2.pmadd.wd", HALVES, pairs, ir.Constant(WORDS, [100, 1] * 4))
        packed = _call(builder, "llvm.x86.sse41.packusdw", WORDS, fours, fours)
        eights = _call(builder, "llvm.x86.sse2.pmadd.wd", HALVES, packed, ir.Constant(WORDS, [10000, 1] * 4))
        high, low = (builder.zext(builder.extract_element(eights, I32(index)), I64) for index in (0, 1))
        return builder.add(builder.mul(high, I64(100_000_000)), low)

    return types.int64(types.int64, types.int64), generate


def make_shuffles() -> np.ndarray:
    """Row `point * 17 + end` of 16 bytes: brings the digits of bytes 0 … end - 1 to the right and leaves `point` out.

    `point` 0 … 16 is the index of the decimal point; one that is not below `end` is no part of the number.
    """
    rows = np.full((DIGITS + 1, DIGITS + 1, DIGITS), ZEROED, np.uint8)
    for point in range(DIGITS + 1):
        for end in range(DIGITS + 1):
            picked = [index for index in range(end) if index != point]
            rows[point, end, DIGITS - len(picked) :] = picked
    return rows
