"""Style as a test: lengths, import direction, who may touch what, banned words. A violation names file:line.

python -m tests.test_style      lists what is longer than it should be, though not yet too long
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES_MAX, FILE_LINES_GOOD = 500, 300
FUNCTION_LINES_MAX, FUNCTION_LINES_GOOD = 70, 40
WIDTH_MAX = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]

# Imports point downward: a module imports from its own row or from a lower one. Lowest first.
LEVELS = (
    ("errors", "native", "layout", "limits", "clock", "_native", "__version__"),
    ("kernel_cache",),
    ("core", "protocols"),
    (
        *("control_sections", "kill_sections", "link_sections", "order_sections", "record_sections", "risk_sections"),
        *("sections", "pipeline", "config", "instance", "port", "stages"),
    ),
    ("venues", "strategies"),
    ("ops", "factory", "link", "audit"),
    ("cli",),
)
# The same inside the link: its rooms, lowest first, and the process on top of them.
LINK_ROOMS = ("frames", "compression", "peers", "keys", "rights", "streams")
NAMES_BANNED = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
WORDS_BANNED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
LIVE_SEARCH = re.compile(r"\.nonzero\(|flatnonzero\([\w.]*rows?[\w.]*\[\"\w+\"\]\)")
C_CLOCKS = re.compile(r"\b(?:clock_gettime|gettimeofday|__rdtsc\w*|_rdtsc|timespec_get|time\s*\(\s*NULL)\b")


def python_files(*folders: str) -> list[Path]:
    """Python files of these folders of the project, or of all of it with the build scripts."""
    if not folders:
        return sorted([*ROOT.glob("*.py"), *python_files("gateway", "tests", "vagrant")])
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def c_files() -> list[Path]:
    """C sources and headers."""
    return sorted(path for suffix in ("*.c", "*.h") for path in (ROOT / "native").rglob(suffix))


def place(path: Path, line: int) -> str:
    """`file:line`, relative to the root."""
    return f"{path.relative_to(ROOT)}:{line}"


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def blank(match: re.Match[str]) -> str:
    """What a comment or string becomes: nothing but its line ends."""
    return "\n" * match.group().count("\n")


def c_code(path: Path) -> str:
    """C text without comments, strings and preprocessor lines; line numbers stay."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', "0", text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.MULTILINE)


def c_functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, first line, lines) of every function body: a brace at depth 0 behind a parenthesis."""
    code = c_code(path)
    depth, line, begin, name = 0, 1, 0, ""
    for index, character in enumerate(code):
        if character == "\n":
            line += 1
        elif character == "{":
            if depth == 0:
                head = code[:index].rstrip()
                found = re.findall(r"(\w+)\s*\(", head[head.rfind(";") + 1 :]) if head.endswith(")") else []
                begin, name = (line, found[0]) if found else (0, "")
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0 and begin:
                yield name, begin, line - begin + 1


def python_functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, first line, lines) of every function, inner ones too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def long_files(limit: int) -> list[str]:
    """Files of more than `limit` lines."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*python_files(), *c_files()]}
    return [f"{place(path, limit + 1)} the file has {lines} lines" for path, lines in lengths.items() if lines > limit]


def long_functions(limit: int) -> list[str]:
    """Functions of more than `limit` lines."""
    found = [(path, *function) for path in python_files() for function in python_functions(path)]
    found += [(path, *function) for path in c_files() for function in c_functions(path)]
    return [f"{place(path, line)} {name} has {lines} lines" for path, name, line, lines in found if lines > limit]


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted module, line) of everything a file imports; `from gateway import x` counts as gateway.x."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            inside = "." * node.level + (node.module or "")
            for alias in node.names:
                yield f"{inside}.{alias.name}" if inside == "gateway" else inside, node.lineno


def level_of(part: str) -> int | None:
    """The row of LEVELS that a top-level name of the package stands in."""
    return next((index for index, row in enumerate(LEVELS) if part in row), None)


def refuse(violations: list[str]) -> None:
    """Fails with every violation on its own line."""
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)


def test_no_file_is_longer_than_a_reader_can_hold():
    refuse(long_files(FILE_LINES_MAX))


@pytest.mark.slow
def test_no_function_is_longer_than_a_screen():
    refuse(long_functions(FUNCTION_LINES_MAX))


@pytest.mark.slow
def test_imports_point_downward_only():
    wrong = []
    for path in python_files("gateway"):
        part = path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        own = level_of(part)
        if own is None:
            wrong.append(f"{place(path, 1)} gateway.{part} stands in no row of LEVELS")
            continue
        for module, line in imports_of(path):
            if module.startswith("."):
                wrong.append(f"{place(path, line)} imports {module}: write the whole name")
            if not module.startswith("gateway."):
                continue
            other = level_of(module.split(".")[1])
            if other is None or other > own:
                wrong.append(f"{place(path, line)} imports {module} from above")
    refuse(wrong)


def test_rooms_of_the_link_import_downward_only():
    def room(parts: tuple[str, ...]) -> int:
        return LINK_ROOMS.index(parts[0]) if parts[0] in LINK_ROOMS else len(LINK_ROOMS)

    link = ROOT / "gateway" / "link"
    assert {path.name for path in link.iterdir() if path.is_dir() and path.name != "__pycache__"} == {*LINK_ROOMS}
    wrong = [
        f"{place(path, line)} imports {module} from above"
        for path in python_files("gateway/link")
        for module, line in imports_of(path)
        if module.startswith("gateway.link.") and room((*module.split(".")[2:],)) > room(path.relative_to(link).parts)
    ]
    refuse(wrong)


@pytest.mark.slow
def test_only_native_imports_the_compiled_module():
    allowed = ROOT / "gateway" / "native.py"
    wrong = [
        place(path, line)
        for path in python_files("gateway", "tests")
        for module, line in imports_of(path)
        if module == "gateway._native" and path != allowed
    ]
    refuse(wrong)


@pytest.mark.slow
def test_only_three_modules_hold_intrinsics():
    allowed = [ROOT / "gateway" / "core" / name for name in ("memory.py", "digits.py", "permute.py")]
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in python_files("gateway")
        for module, line in imports_of(path)
        if module in ("numba.extending", "numba.core", "llvmlite", "llvmlite.ir") and path not in allowed
    ]
    refuse(wrong)


def test_the_data_plane_reads_no_clock():
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in python_files("gateway/core", "gateway/protocols", "gateway/strategies")
        for module, line in imports_of(path)
        if module in ("time", "datetime", "gateway.clock")
    ]
    for path in c_files():
        if path.name not in ("clock.c", "clock.h"):
            for number, line in enumerate(c_code(path).splitlines(), 1):
                if C_CLOCKS.search(line):
                    wrong.append(f"{place(path, number)} reads a clock; clock.h does that")
    refuse(wrong)


def test_the_product_never_imports_scapy():
    wrong = [
        place(path, line)
        for path in python_files("gateway")
        for module, line in imports_of(path)
        if module.split(".")[0] == "scapy"
    ]
    refuse(wrong)


def test_nobody_looks_for_what_is_not_zero_in_memory_that_others_write():
    wrong = [
        f"{place(path, number)} raises when a number becomes zero meanwhile; use np.flatnonzero on a copy"
        for path in python_files("gateway")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if LIVE_SEARCH.search(line)
    ]
    refuse(wrong)


def test_no_file_is_named_after_nothing():
    files = [*python_files(), *c_files(), *(ROOT / "scripts").iterdir()]
    wrong = [place(path, 1) for path in files if NAMES_BANNED & set(path.relative_to(ROOT).with_suffix("").parts)]
    refuse(wrong)


def test_nothing_is_left_for_later():
    files = [
        *python_files(),
        *c_files(),
        *(ROOT / "scripts").iterdir(),
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
    ]
    wrong = [
        f"{place(path, number)} {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS_BANNED.search(line)
    ]
    refuse(wrong)


def test_every_layout_header_is_listed():
    text = (ROOT / "native" / "layout.h").read_text()
    listed = re.findall(r'#include "layout/(\w+\.h)"', text)
    present = sorted(path.name for path in (ROOT / "native" / "layout").glob("*.h"))
    assert sorted(listed) == present, "native/layout.h includes every header of native/layout, once"


@pytest.mark.slow
def test_every_file_says_first_what_it_is():
    modules = [path for path in python_files() if path.read_text(encoding="utf-8").strip()]
    wrong = [f"{place(path, 1)} has no docstring" for path in modules if not ast.get_docstring(parse(path))]
    for path in c_files():
        if not path.read_text(encoding="utf-8").startswith("/*"):
            wrong.append(f"{place(path, 1)} does not open with a comment")
    for path in (ROOT / "scripts").iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        if not (lines[0].startswith("#!") and lines[1].startswith("# ")):
            wrong.append(f"{place(path, 2)} has no comment under its first line")
    refuse(wrong)


def test_no_c_line_is_wider_than_the_page():
    wrong = [
        f"{place(path, number)} has {len(line)} columns"
        for path in c_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line.expandtabs(4)) > WIDTH_MAX
    ]
    refuse(wrong)


@pytest.mark.slow
def test_the_names_of_tests_are_sentences():
    wrong = [
        f"{place(path, line)} {name}"
        for path in python_files("tests")
        for name, line, _ in python_functions(path)
        if name.startswith("test_") and name.count("_") < 3
    ]
    refuse(wrong)


def test_the_style_test_itself_finds_what_it_looks_for(tmp_path: Path):
    source = tmp_path / "a.c"
    source.write_text(
        '/* a { */\nint f(int a)\n{\n    if (a) {\n        g("}");\n    }\n}\nint t[] = {\n1};\nstatic int h(void) {\n}\n'
    )
    assert list(c_functions(source)) == [("f", 3, 5), ("h", 10, 2)]
    assert WORDS_BANNED.search("# TO" + "DO later")
    assert C_CLOCKS.search("now = clock_gettime(x)")
    assert not C_CLOCKS.search("clock_ticks()")


if __name__ == "__main__":
    for violation in [*long_files(FILE_LINES_GOOD), *long_functions(FUNCTION_LINES_GOOD)]:
        print(violation)
