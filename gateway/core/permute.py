"""A row of 64 bytes made of up to 64 others in one step, where the CPU has AVX-512 VBMI; `PERMUTES` says whether it has.

Hard rule: only the bytes of the source whose bit is set are touched: the load faults on no other.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

I8, I64 = ir.IntType(8), ir.IntType(64)
BYTES, WORDS, TRUTHS = ir.VectorType(I8, 64), ir.VectorType(I64, 8), ir.VectorType(ir.IntType(1), 64)
NEEDED = ("avx512f", "avx512bw", "avx512vbmi")


def compiled_features() -> dict[str, bool]:
    """What numba compiles for: this CPU's features, unless NUMBA_CPU_FEATURES or NUMBA_CPU_NAME=generic say otherwise."""
    if config.CPU_FEATURES is None:
        return dict(binding.get_host_cpu_features())
    named = (word.strip() for word in config.CPU_FEATURES.split(","))
    return {word[1:]: word[0] == "+" for word in named if word}


PERMUTES = all(compiled_features().get(feature) for feature in NEEDED)


@intrinsic
def permute_bytes(typing_context, source, present, picks, masks, template, target):
    """target[i] = (source[picks[i]] & masks[i]) + template[i] for 64 bytes, added as eight words.

    `present` has one bit for each byte of the source that exists; others are 0. `picks`, `masks` and `template` are 64 bytes
    each, on a cache line. Needs PERMUTES.
    """

    def generate(context, builder, signature, arguments):
        source, present, picks, masks, template, target = arguments

        def pointer(address: Any, kind: Any) -> Any:
            return builder.inttoptr(address, kind.as_pointer())

        def declared(kind: Any, name: str) -> Any:
            return cgutils.get_or_insert_function(builder.module, kind, name)

        masked = declared(ir.FunctionType(BYTES, [BYTES.as_pointer(), TRUTHS, BYTES]), "llvm.masked.load.v64i8.p0")
        permute = declared(ir.FunctionType(BYTES, [BYTES, BYTES]), "llvm.x86.avx512.permvar.qi.512")
        there = builder.bitcast(present, TRUTHS)
        found = builder.call(masked, [pointer(source, BYTES), there, ir.Constant(BYTES, None)])
        moved = builder.call(permute, [found, builder.load(pointer(picks, BYTES), align=64)])
        kept = builder.and_(builder.bitcast(moved, WORDS), builder.load(pointer(masks, WORDS), align=64))
        builder.store(builder.add(kept, builder.load(pointer(template, WORDS), align=64)), pointer(target, WORDS), align=8)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate
