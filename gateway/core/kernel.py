"""`@kernel`, `@leaf`, `@inner`, `@cached`: how numba functions are declared here; a third less to compile than with `@njit`.

Inlining is said for each: numba hands the flag down, and a kernel first compiled for a leaf would be copied into every
caller. Left out is what nothing here uses: a C wrapper for every function, and a copy of the function for every literal
argument (the optimiser folds the constants after inlining anyway).
"""

from collections.abc import Callable
from typing import Any

from numba import njit, types


def _declare(function: Callable[..., Any], **options: bool) -> Any:
    dispatcher = njit(no_cfunc_wrapper=True, **options)(function)
    with_literals = dispatcher.get_call_template

    def get_call_template(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return with_literals(tuple(types.unliteral(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles `function` on first use; Python may call it too, as tests do."""
    return _declare(function, forceinline=False)


def leaf(function: Callable[..., Any]) -> Any:
    """A kernel that is always inlined into its caller: small, on the hot path, never recursive."""
    return _declare(function, forceinline=True)


def inner(function: Callable[..., Any]) -> Any:
    """A kernel that only other kernels call: no wrapper for Python, and quicker still to compile."""
    return _declare(function, forceinline=False, no_cpython_wrapper=True)


def cached(function: Callable[..., Any]) -> Any:
    """A kernel whose machine code is kept on the disk: for generated modules, each its own unit (kernel_cache.py)."""
    return _declare(function, forceinline=False, cache=True)


def cached_leaf(function: Callable[..., Any]) -> Any:
    """The same, and always inlined into a kernel that calls it."""
    return _declare(function, cache=True, forceinline=True)
