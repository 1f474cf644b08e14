"""Recent orders ⑦: what DUP compares with. A line of four ways for each hash, each a fingerprint and a time.

Hard rule: what cannot be remembered is refused. A line whose four ways are all within the window takes no fifth order.
"""

from numba import int64

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u32, multiply_wrapping, shift_right, store_i64, young_ways
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ACCOUNT = offsets("gate_account")
INTENT = offsets("intent")
RECENT = offsets("gate_recent")
RECENT_BYTES = size("gate_recent")
WAYS = value("GATE_RECENT_WAYS")
ALL_YOUNG = (1 << WAYS) - 1
# odd 64-bit constants with no pattern (digits of pi), as signed words
FIRST, SECOND = 0x243F6A8885A308D3, 0x13198A2E03707345
THIRD, FOURTH = 0xA4093822299F31D1 - (1 << 64), 0x082EFA98EC4E6C89


@leaf
def fingerprint_of(intent):
    """Hash over what makes two orders the same one: instrument, side, quantity, price, strategy, signal, replaced order."""
    terms = multiply_wrapping(load_i64(intent + INTENT.price) ^ (load_i64(intent + INTENT.quantity) << 32), FIRST)
    who = load_u32(intent + INTENT.instrument) | (load_u8(intent + INTENT.side) << 32)
    who = multiply_wrapping(who | (load_u32(intent + INTENT.strategy) << 40), SECOND)
    cause = load_i64(intent + INTENT.signal_id) ^ multiply_wrapping(load_i64(intent + INTENT.order_reference), THIRD)
    mixed = terms ^ shift_right(terms, 31) ^ who ^ multiply_wrapping(cause, FOURTH)
    mixed = multiply_wrapping(mixed ^ shift_right(mixed, 29), THIRD)
    return mixed ^ shift_right(mixed, 32)


@leaf
def line_of(path, fingerprint):
    """Address of the ways where a fingerprint belongs."""
    return load_i64(path + PATH.recent) + (fingerprint & load_i64(path + PATH.recent_mask)) * RECENT_BYTES


@leaf
def repeated_fails(path, account, intent, now_ns):
    """DUP: the same order of the same signal left within the window, or no way is free to remember this one."""
    window_ns = load_i64(account + ACCOUNT.dup_ns)
    fingerprint = fingerprint_of(intent)
    line = line_of(path, fingerprint)
    ways = young_ways(line + RECENT.times_ns, line + RECENT.fingerprints, now_ns, window_ns, fingerprint)
    # a way that carries it has its bit above those of the four; four that are young leave no room
    return int64((ways >= ALL_YOUNG) | (window_ns <= 0))


@kernel
def remember(path, intent, now_ns):
    """Notes an order that is about to leave in the oldest way of its line."""
    fingerprint = fingerprint_of(intent)
    line = line_of(path, fingerprint)
    oldest = 0
    for way in range(1, WAYS):
        if load_i64(line + RECENT.times_ns + way * 8) < load_i64(line + RECENT.times_ns + oldest * 8):
            oldest = way
    store_i64(line + RECENT.fingerprints + oldest * 8, fingerprint)
    store_i64(line + RECENT.times_ns + oldest * 8, now_ns)
