"""Pointer, atomic, prefetch, bit and clock intrinsics: the only ones of the data plane.

Addresses are plain int64 values. Loads and stores are unaligned and little-endian unless the name says `be` (network
order). Shared cursors go through `acquire`, `release` and `relaxed` only: a plain spin load may be hoisted out of its loop.
Hard rule: nothing here allocates, checks or raises; the caller has checked the length.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I32, I64 = (ir.IntType(bits) for bits in (8, 32, 64))
FRACTION_BITS = 32  # of fixed point numbers: rates, margins, weights, shares
FRACTION_ONE = 1 << FRACTION_BITS
SCALED_MAX = 1 << 46  # what a scaled value is held at: 65,536 of them add up without an overflow


def _pointer(builder: Any, address: Any, element: Any) -> Any:
    return builder.inttoptr(address, element.as_pointer())


def _loader(bits: int, signed: bool, swap: bool) -> Any:
    element = ir.IntType(bits)

    @intrinsic
    def load(typing_context, address):
        def generate(context, builder, signature, arguments):
            loaded = builder.load(_pointer(builder, arguments[0], element), align=1)
            if swap:
                loaded = builder.bswap(loaded)
            if bits == 64:
                return loaded
            return builder.sext(loaded, I64) if signed else builder.zext(loaded, I64)

        return types.int64(types.int64), generate

    return load


def _storer(bits: int, swap: bool) -> Any:
    element = ir.IntType(bits)

    @intrinsic
    def store(typing_context, address, value):
        def generate(context, builder, signature, arguments):
            value = arguments[1] if bits == 64 else builder.trunc(arguments[1], element)
            if swap:
                value = builder.bswap(value)
            builder.store(value, _pointer(builder, arguments[0], element), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return store


# Every loader returns int64: zero-extended for u8, u16, u32, sign-extended for i*; u64 is the same 64 bits.
load_u8 = _loader(8, False, False)
load_u16 = _loader(16, False, False)
load_u32 = _loader(32, False, False)
load_i64 = _loader(64, True, False)
load_i8 = _loader(8, True, False)
load_i16 = _loader(16, True, False)
load_i32 = _loader(32, True, False)
load_be16 = _loader(16, False, True)
load_be32 = _loader(32, False, True)
load_be64 = _loader(64, True, True)
load_be_i16 = _loader(16, True, True)
load_be_i32 = _loader(32, True, True)
store_u8 = _storer(8, False)
store_u16 = _storer(16, False)
store_u32 = _storer(32, False)
store_i64 = _storer(64, False)
store_be16 = _storer(16, True)
store_be32 = _storer(32, True)
store_be64 = _storer(64, True)


def _float_of(bits: int) -> Any:
    kind = ir.FloatType() if bits == 32 else ir.DoubleType()

    @intrinsic
    def convert(typing_context, pattern):
        def generate(context, builder, signature, arguments):
            pattern = arguments[0] if bits == 64 else builder.trunc(arguments[0], I32)
            number = builder.bitcast(pattern, kind)
            return number if bits == 64 else builder.fpext(number, ir.DoubleType())

        return types.float64(types.int64), generate

    return convert


# The IEEE 754 number of a loaded bit pattern, as float64.
float32_of_bits = _float_of(32)
float64_of_bits = _float_of(64)


@njit(inline="always")
def load_be48(address):
    """Six bytes in network order (ITCH timestamps)."""
    return (load_be16(address) << 32) | load_be32(address + 2)


@intrinsic
def acquire(typing_context, address):
    """Atomic 64-bit load, acquire order."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0], I64), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def relaxed(typing_context, address):
    """Atomic 64-bit load, no order; never hoisted, never torn."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0], I64), "monotonic", 8)

    return types.int64(types.int64), generate


@intrinsic
def release(typing_context, address, value):
    """Atomic 64-bit store, release order."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0], I64), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fence_release(typing_context):
    """Stores before it are seen before stores after it."""

    def generate(context, builder, signature, arguments):
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def fence_acquire(typing_context):
    """Loads after it see what loads before it saw, or newer."""

    def generate(context, builder, signature, arguments):
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def prefetch(typing_context, address):
    """Brings the line at `address` near, for reading and writing; never faults."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, arguments[0], I8)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, I32(1), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def trailing_zeros(typing_context, value):
    """Index of the lowest set bit; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def leading_zeros(typing_context, value):
    """Zero bits above the highest set bit; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def shift_right(typing_context, value, bits):
    """Logical right shift of the 64-bit pattern (Python's >> on int64 is arithmetic)."""

    def generate(context, builder, signature, arguments):
        return builder.lshr(arguments[0], arguments[1])

    return types.int64(types.int64, types.int64), generate


def _divider(quotient: bool) -> Any:
    @intrinsic
    def divide(typing_context, value, divisor):
        def generate(context, builder, signature, arguments):
            value, divisor = (builder.trunc(argument, I32) for argument in arguments)
            zero = builder.icmp_unsigned("==", divisor, I32(0))
            divisor = builder.select(zero, I32(1), divisor)
            result = builder.udiv(value, divisor) if quotient else builder.urem(value, divisor)
            return builder.zext(result, I64)

        return types.int64(types.int64, types.int64), generate

    return divide


# Unsigned division of the low 32 bits, without a branch; by 0 it divides by 1: the caller checks the divisor beside it.
quotient_u32 = _divider(True)
remainder_u32 = _divider(False)


@intrinsic
def quotient_i64(typing_context, value, divisor):
    """Signed quotient, toward zero; a divisor of 0 counts as 1. A constant divisor costs a multiplication."""

    def generate(context, builder, signature, arguments):
        value, divisor = arguments
        zero = builder.icmp_unsigned("==", divisor, I64(0))
        return builder.sdiv(value, builder.select(zero, I64(1), divisor))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def address_of_record(typing_context, record):
    """Address of the struct behind a numba Record."""
    if not isinstance(record, types.Record):
        return None

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], I64)

    return types.int64(record), generate


@intrinsic
def multiply_wrapping(typing_context, first, second):
    """The low 64 bits of a product. A plain * on int64 tells the optimiser that it cannot overflow: wrong for hashes."""

    def generate(context, builder, signature, arguments):
        return builder.mul(arguments[0], arguments[1])

    return types.int64(types.int64, types.int64), generate


@intrinsic
def multiply_high(typing_context, first, second):
    """The high 64 bits of the product of two unsigned words."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        first, second = (builder.zext(argument, wide) for argument in arguments)
        return builder.trunc(builder.lshr(builder.mul(first, second), wide(64)), I64)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def is_multiple(typing_context, value, multiple):
    """1 when `value`, 32 bits wide, is a multiple of the divisor of which `multiple` is (2^64 - 1) / divisor.

    One multiplication (Lemire, Kaser, Kurz: Faster remainder by direct computation). A `multiple` of 0 knows only 0.
    """

    def generate(context, builder, signature, arguments):
        value, multiple = arguments
        product = builder.mul(value, builder.add(multiple, I64(1)))
        return builder.zext(builder.icmp_unsigned("<=", product, multiple), I64)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def multiple_of(typing_context, divisor):
    """What `is_multiple` takes for a divisor from 1 to 2^31 - 1; 0 for any other."""

    def generate(context, builder, signature, arguments):
        divisor = arguments[0]
        usable = builder.icmp_unsigned("<", builder.sub(divisor, I64(1)), I64((1 << 31) - 1))
        quotient = builder.udiv(I64(-1), builder.select(usable, divisor, I64(1)))
        return builder.select(usable, quotient, I64(0))

    return types.int64(types.int64), generate


@intrinsic
def scale_down(typing_context, value, fraction):
    """value * fraction / 2^32 with all 128 bits of the product, rounded down, held within SCALED_MAX of zero."""

    def generate(context, builder, signature, arguments):
        return _scaled(builder, arguments, 0)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def scale_up(typing_context, value, fraction):
    """The same, rounded up."""

    def generate(context, builder, signature, arguments):
        return _scaled(builder, arguments, FRACTION_ONE - 1)

    return types.int64(types.int64, types.int64), generate


def _scaled(builder: Any, arguments: Any, rounding: int) -> Any:
    wide = ir.IntType(128)
    value, fraction = (builder.sext(argument, wide) for argument in arguments)
    scaled = builder.ashr(builder.add(builder.mul(value, fraction), wide(rounding)), wide(FRACTION_BITS))
    for sign, beyond in ((1, ">"), (-1, "<")):
        bound = wide(sign * SCALED_MAX)
        scaled = builder.select(builder.icmp_signed(beyond, scaled, bound), bound, scaled)
    return builder.trunc(scaled, I64)


@intrinsic
def share_up(typing_context, value, fraction):
    """value * fraction / 2^32, rounded up, of two numbers that are not negative, the first at most 2^62; what is more than
    SCALED_MAX becomes SCALED_MAX. Less to do than `scale_up`.
    """

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        value, fraction = (builder.zext(argument, wide) for argument in arguments)
        product = builder.add(builder.mul(value, fraction), wide(FRACTION_ONE - 1))
        high = builder.trunc(builder.lshr(product, wide(64)), I64)
        scaled = builder.trunc(builder.lshr(product, wide(FRACTION_BITS)), I64)
        fits = builder.icmp_unsigned("<", high, I64(SCALED_MAX >> (64 - FRACTION_BITS)))
        return builder.select(fits, scaled, I64(SCALED_MAX))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def settled(typing_context, word):
    """The same word, worked out before the compiler begins with anything behind it: keeps long straight code from being
    interleaved until registers spill. The processor still overlaps what it likes.
    """

    def generate(context, builder, signature, arguments):
        nothing = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0,~{memory}", side_effect=True)
        return builder.call(nothing, arguments)

    return types.int64(types.int64), generate


@intrinsic
def young_ways(typing_context, times, fingerprints, now, window, fingerprint):
    """Four ways at once, of the words at `times` and `fingerprints`: bit i, way i is younger than the window; bit 4 + i, and
    carries the fingerprint.
    """

    def generate(context, builder, signature, arguments):
        four = ir.VectorType(I64, 4)

        def spread(word: Any) -> Any:
            vector = ir.Constant(four, ir.Undefined)
            for lane in range(4):
                vector = builder.insert_element(vector, word, I32(lane))
            return vector

        def bits(truths: Any) -> Any:
            return builder.zext(builder.bitcast(truths, ir.IntType(4)), I64)

        then, prints = (builder.load(_pointer(builder, argument, four), align=8) for argument in arguments[:2])
        now, window, fingerprint = (spread(argument) for argument in arguments[2:])
        young = builder.icmp_signed("<", builder.sub(now, then), window)
        same = builder.and_(young, builder.icmp_signed("==", prints, fingerprint))
        return builder.or_(bits(young), builder.shl(bits(same), I64(4)))

    return types.int64(*[types.int64] * 5), generate


@intrinsic
def double_of(typing_context, bits):
    """The IEEE 754 double with these 64 bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def bits_of(typing_context, number):
    """The 64 bits of a double."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], I64)

    return types.int64(types.float64), generate


@intrinsic
def ticks(typing_context):
    """The TSC: native/clock.h calls the same number clock_ticks."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(I64, [])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter")
        return builder.call(function, [])

    return types.int64(), generate


@intrinsic
def pause(typing_context):
    """Tells the core that this is a spin loop."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def apart(typing_context):
    """As a kernel's first line: it is called, never inlined. For what is seldom needed, or long and needed in many places:
    without it every caller compiles it anew.
    """

    def generate(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def copy_bytes(typing_context, target, source, size):
    """memcpy of `size` bytes; the areas do not overlap."""

    def generate(context, builder, signature, arguments):
        target, source = (_pointer(builder, argument, I8) for argument in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def call_strategy(typing_context, function, state, event, book, orders):
    """Calls the C function at address `function`: void(void *state, event *, book *, intents *)."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def call_decoder(typing_context, function, decoder):
    """Calls the C function at address `function`: int64(struct decoder *)."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(I64, [I64])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(types.int64, types.int64), generate


def address_of(array: np.ndarray) -> int:
    """Address of an array's first byte; the caller keeps the array alive."""
    return int(array.ctypes.data)
