"""The only door to the compiled module: everything else imports `ffi` and `lib` from here."""

from gateway.errors import CapabilityError

try:
    from gateway import _native
except ImportError as problem:  # pragma: no cover - a broken build is met before any test
    raise CapabilityError(
        f"the compiled module gateway._native cannot be loaded ({problem}); build it with: pip install -e ."
    ) from problem

ffi = _native.ffi
lib = _native.lib


def text(pointer: object) -> str:
    """A C string, or '' for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def address(pointer: object) -> int:
    """The address a cdata pointer holds."""
    return int(ffi.cast("uintptr_t", pointer))


def at(address_value: int, ctype: str) -> object:
    """A typed pointer to an address, e.g. at(base, 'struct event *')."""
    return ffi.cast(ctype, address_value)
