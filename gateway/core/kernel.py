"""`@kernel` and `@leaf`: how the data plane's functions are declared: a third less to compile than `@njit`.

Two things are left out that nothing here uses: a C wrapper for every function, and a copy of the function for every literal
argument (the optimiser folds the constants after inlining anyway). Python may still call a kernel, as tests do.
"""

from collections.abc import Callable
from typing import Any

from numba import njit, types


def _declare(function: Callable[..., Any], forceinline: bool) -> Any:
    dispatcher = njit(no_cfunc_wrapper=True, forceinline=forceinline)(function)
    with_literals = dispatcher.get_call_template

    def get_call_template(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return with_literals(tuple(types.unliteral(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles `function` on first use; where a caller passes a literal, the argument has the literal's type."""
    return _declare(function, forceinline=False)


def leaf(function: Callable[..., Any]) -> Any:
    """A kernel that is always inlined into its caller: small, on the hot path, never recursive."""
    return _declare(function, forceinline=True)
