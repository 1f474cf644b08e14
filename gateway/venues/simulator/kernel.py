"""`@kernel`: a numba function that only other numba functions call; compiles in half the time of a plain `@njit`.

Beside the corridor, inside the venue. Two things are left out: the wrappers for callers in Python and C, and a copy of
the function for every literal argument. The optimiser inlines and folds the constants anyway.
Hard rule: what Python calls is declared with `@njit`.
"""

from collections.abc import Callable
from typing import Any

from numba import njit, types


def kernel(function: Callable[..., Any]) -> Any:
    """Declares `function` as an inner kernel: arguments are typed int64 where the caller passes a literal."""
    dispatcher = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    with_literals = dispatcher.get_call_template

    def get_call_template(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return with_literals(tuple(types.unliteral(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = get_call_template
    return dispatcher
