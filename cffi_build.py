"""Builds native/ into the extension gateway._native.

Globs native/*.c and native/ports/*.c; reads the shared structs from native/layout/*.h, which cffi and the compiler both
see, and the functions from the CDEF blocks below. DPDK joins when `pkg-config libdpdk` answers.

    GATEWAY_NATIVE_CPU=1   compile for this very machine (-march=native); the default runs on any x86-64-v2
    GATEWAY_WITHOUT_DPDK=1 leave DPDK out even where it is installed
    GATEWAY_SANITIZE=1     AddressSanitizer and UBSan, for a run by hand (docs/HACKING.md)
"""

import hashlib
import os
import re
import shlex
import subprocess
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
NATIVE = ROOT / "native"
# In the order layout.h includes them; a header added there is added here, and a test compares the two.
LAYOUT = [NATIVE / name for name in re.findall(r'#include "(layout/\w+\.h)"', (NATIVE / "layout.h").read_text())]


def without_comments(text: str) -> str:
    """C text without comments and with single spaces: what the layout hash is taken over."""
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)).strip()


def layout_hash() -> int:
    """First 8 bytes of SHA-256 over the bare text of every layout header."""
    text = "\n".join(without_comments(path.read_text()) for path in LAYOUT)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def header_declarations(path: Path) -> str:
    """The declarations of one native header that Python may call: its text between the `cdef` marks."""
    blocks = re.findall(r"/\* cdef: begin \*/(.*?)/\* cdef: end \*/", path.read_text(), flags=re.DOTALL)
    return "\n".join(blocks)


def pkg_config(package: str) -> dict[str, list[str]] | None:
    """Compiler and linker flags of a package, or None where it is not installed."""
    if os.environ.get("GATEWAY_WITHOUT_DPDK"):
        return None
    try:
        flags = {
            key: shlex.split(
                subprocess.run(["pkg-config", option, package], check=True, capture_output=True, text=True).stdout
            )
            for key, option in (("compile", "--cflags"), ("link", "--libs"))
        }
    except (OSError, subprocess.CalledProcessError):
        return None
    return flags


def native_sources(with_dpdk: bool) -> list[str]:
    """Every C file of native/, relative to the root; dpdk*.c only with DPDK."""
    paths = sorted([*NATIVE.glob("*.c"), *(NATIVE / "ports").glob("*.c")])
    return [str(path.relative_to(ROOT)) for path in paths if with_dpdk or not path.name.startswith("dpdk")]


def make_builder() -> FFI:
    """The configured cffi builder; setup.py hands it to setuptools."""
    builder = FFI()
    headers = sorted(NATIVE.glob("*.h"))
    for path in LAYOUT:
        builder.cdef(path.read_text())
    builder.cdef("#define GATEWAY_LAYOUT_HASH ...\n#define GATEWAY_WITH_DPDK ...\n#define GATEWAY_MAGIC ...")
    for path in headers:
        builder.cdef(header_declarations(path))

    dpdk = pkg_config("libdpdk")
    compile_flags = ["-std=gnu11", "-O3", "-g", "-Wall", "-Wextra", "-Werror", "-fno-strict-aliasing"]
    # cffi's own glue compares unsigned enums with zero and leaves parameters unused
    compile_flags += ["-Wno-unused-parameter", "-Wno-type-limits", "-Wno-unused-function"]
    compile_flags += ["-march=native"] if os.environ.get("GATEWAY_NATIVE_CPU") else ["-march=x86-64-v2"]
    link_flags: list[str] = []
    if os.environ.get("GATEWAY_SANITIZE"):
        compile_flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
        link_flags += ["-fsanitize=address,undefined"]
    if dpdk:
        # DPDK's own flags come first so that our -march stays in force where it is wider
        compile_flags = dpdk["compile"] + [flag for flag in compile_flags if not flag.startswith("-march=x86")]
        link_flags += dpdk["link"]
    builder.set_source(
        "gateway._native",
        "".join(f'#include "{path.name}"\n' for path in headers),
        sources=native_sources(dpdk is not None),
        include_dirs=[str(NATIVE.relative_to(ROOT))],
        define_macros=[
            ("GATEWAY_LAYOUT_HASH", f"{layout_hash():#x}ULL"),
            ("GATEWAY_WITH_DPDK", "1" if dpdk else "0"),
        ],
        extra_compile_args=compile_flags,
        extra_link_args=link_flags,
        depends=[str(path.relative_to(ROOT)) for path in [*headers, *LAYOUT, *(NATIVE / "ports").glob("*.h")]],
    )
    return builder


builder = make_builder()

if __name__ == "__main__":
    builder.compile(verbose=True, tmpdir=str(ROOT))
