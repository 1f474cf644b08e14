"""Every intrinsic beside what Python's own integers say."""

import struct
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cfunc, njit, types

from gateway.core import memory
from gateway.native import lib

LOADERS = [
    ("u8", "<B"), ("u16", "<H"), ("u32", "<I"), ("i64", "<q"), ("be16", ">H"), ("be32", ">I"), ("be64", ">q"),
]  # fmt: skip
SIGNED_LOADERS = [("i8", "<b"), ("i16", "<h"), ("i32", "<i"), ("be_i16", ">h"), ("be_i32", ">i")]
EDGES = [0, 1, -1, 2**63 - 1, -(2**63), 0x0102030405060708, -0x0102030405060708]
words = st.one_of(st.sampled_from(EDGES), st.integers(-(2**63), 2**63 - 1))
derandomized = settings(max_examples=200, deadline=None, derandomize=True)


def caller(intrinsic, count):
    """The intrinsic as a function that Python can call with `count` int64 arguments."""
    shapes = [
        lambda: intrinsic(),
        lambda a: intrinsic(a),
        lambda a, b: intrinsic(a, b),
        lambda a, b, c: intrinsic(a, b, c),
        None,
        lambda a, b, c, d, e: intrinsic(a, b, c, d, e),
    ]
    function = njit(shapes[count])
    function.compile((types.int64,) * count)
    return function


LOAD = {name: caller(getattr(memory, f"load_{name}"), 1) for name, _ in LOADERS + SIGNED_LOADERS} | {
    "be48": caller(memory.load_be48, 1)
}
STORE = {name: caller(getattr(memory, f"store_{name}"), 2) for name, _ in LOADERS}


OF_BITS = {width: caller(getattr(memory, f"float{width}_of_bits"), 1) for width in (32, 64)}
SHIFT_RIGHT = caller(memory.shift_right, 2)
LEADING_ZEROS = caller(memory.leading_zeros, 1)
TRAILING_ZEROS = caller(memory.trailing_zeros, 1)


@pytest.mark.parametrize(("name", "code"), LOADERS + SIGNED_LOADERS)
@derandomized
@given(data=st.binary(min_size=24, max_size=24), offset=st.integers(0, 15))
def test_a_load_gives_what_struct_unpacks_at_any_alignment(name, code, data, offset):
    area = np.frombuffer(data, np.uint8)
    assert LOAD[name](memory.address_of(area) + offset) == struct.unpack_from(code, data, offset)[0]


@pytest.mark.parametrize(("width", "code"), [(32, "<f"), (64, "<d")])
@derandomized
@given(data=st.binary(min_size=8, max_size=8))
def test_a_pattern_of_bits_becomes_the_number_struct_unpacks(width, code, data):
    expected = struct.unpack_from(code, data)[0]
    number = OF_BITS[width](int.from_bytes(data, "little", signed=True))
    assert number == expected or (number != number and expected != expected)


@pytest.mark.parametrize(("name", "code"), LOADERS)
@derandomized
@given(value=words, offset=st.integers(0, 15))
def test_a_store_writes_its_own_bytes_and_no_neighbour(name, code, value, offset):
    area = np.full(24, 0xA5, np.uint8)
    STORE[name](memory.address_of(area) + offset, value)
    expected = bytearray(b"\xa5" * 24)
    width = struct.calcsize(code)
    order = "big" if code[0] == ">" else "little"
    expected[offset : offset + width] = (value % 2 ** (8 * width)).to_bytes(width, order)
    assert area.tobytes() == bytes(expected)


@derandomized
@given(data=st.binary(min_size=6, max_size=6))
def test_six_bytes_load_as_one_number(data):
    area = np.frombuffer(data, np.uint8)
    assert LOAD["be48"](memory.address_of(area)) == int.from_bytes(data, "big")


@pytest.mark.parametrize("order", ["acquire", "relaxed"])
def test_a_released_word_is_read_back(order):
    area = np.zeros(2, np.int64)
    release, load = caller(memory.release, 2), caller(getattr(memory, order), 1)
    for value in EDGES:
        release(memory.address_of(area), value)
        assert (load(memory.address_of(area)), area[1]) == (value, 0)


@derandomized
@given(value=words, bits=st.integers(0, 63))
def test_bit_intrinsics_agree_with_integers(value, bits):
    pattern = value % 2**64
    assert SHIFT_RIGHT(value, bits) % 2**64 == pattern >> bits
    assert LEADING_ZEROS(value) == 64 - pattern.bit_length()
    assert TRAILING_ZEROS(value) == (64 if pattern == 0 else (pattern & -pattern).bit_length() - 1)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 1500])
def test_a_copy_moves_exactly_its_bytes(size):
    source, target = np.arange(2000, dtype=np.int64).astype(np.uint8), np.full(2000, 0xA5, np.uint8)
    caller(memory.copy_bytes, 3)(memory.address_of(target) + 3, memory.address_of(source) + 5, size)
    assert (target[3 : 3 + size] == source[5 : 5 + size]).all()
    assert (np.delete(target, np.s_[3 : 3 + size]) == 0xA5).all()


def test_ticks_are_the_ticks_of_c():
    read = caller(memory.ticks, 0)
    before, between, after = lib.clock_read_ticks(), read(), lib.clock_read_ticks()
    assert before < between < after


def test_prefetch_of_any_address_and_pause_do_nothing_that_shows():
    prefetch, pause, fence = caller(memory.prefetch, 1), caller(memory.pause, 0), caller(memory.fence_release, 0)
    for address in (0, 1, -1, 2**47):
        assert prefetch(address) is None
    assert (pause(), fence()) == (None, None)


@njit("int64(int64, int64)", nogil=True)
def spin(address, turns):
    """Turns until the word at `address` is no longer zero; 0 when it stayed zero for all of them."""
    for turn in range(1, turns):
        if memory.relaxed(address) != 0:
            return turn
    return 0


def test_a_spin_on_a_relaxed_word_sees_another_thread():
    """The rule of the module: a plain load may be hoisted out of its loop; this one may not."""
    area = np.zeros(1, np.int64)
    thread = threading.Thread(target=lambda: (time.sleep(0.02), area.__setitem__(0, 7)))
    thread.start()
    assert spin(memory.address_of(area), 2_000_000_000) > 0
    thread.join()
    assert area[0] == 7


CALLED = np.zeros(4, np.int64)


def test_a_strategy_call_passes_its_four_addresses():
    @cfunc("void(int64, int64, int64, int64)")
    def strategy(state, event, book, orders):
        memory.store_i64(state, event + 10 * book + 100 * orders)

    caller(memory.call_strategy, 5)(strategy.address, memory.address_of(CALLED), 1, 2, 3)
    assert CALLED[0] == 321
