"""The number of the layouts: the same in every process, another one whatever makes the same bytes another record."""

import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.layout import dtype, names
from gateway.link.compression import column_plan
from gateway.link.compression.schemas import SCHEMAS
from gateway.link.streams import record_layouts
from gateway.link.streams.record_layouts import described, fields, layouts

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "protocols" / "link-streams.md"


def number(monkeypatch: pytest.MonkeyPatch, **changed) -> int:
    """The number of a build in which something is otherwise."""
    with monkeypatch.context() as patch:
        for name, value in changed.items():
            patch.setattr(record_layouts, name, value)
        return layouts.__wrapped__()


def first_schema(**changed) -> tuple:
    return (replace(SCHEMAS[0], **changed), *SCHEMAS[1:])


def renamed(layout: np.dtype, old: str, new: str) -> np.dtype:
    other = copy(layout)
    other.names = tuple(new if name == old else name for name in layout.names or ())
    return other


def steps_with(**changed) -> list:
    one, *others = SCHEMAS[0].steps
    return [one, replace(others[0], **changed), *others[1:]]


def test_another_process_finds_the_same_and_the_page_says_it():
    code = "from gateway.link.streams.record_layouts import layouts; print(layouts())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == layouts()
    assert f"`{layouts():#010x}`" in PAGE.read_text(encoding="utf-8"), f"say {layouts():#010x} in {PAGE.name}"


def test_every_field_of_every_struct_is_in_it_with_its_place():
    lines = described().splitlines()
    assert lines[: lines.index("schema 2")].count("event.price <i8 88") == 1
    heads = {"schema 2": "link_execution", "schema 3": "link_quote"}
    heads |= {f"struct {struct}": struct for struct in ("link_book", "link_listing")}
    for head, struct in heads.items():
        places = [(name, str(place[1])) for name, place in dtype(struct).fields.items()]
        begin = lines.index(head) + 1
        assert [tuple(line.split()[::2]) for line in lines[begin : begin + len(places)]] == places
    assert "LINK_JOINING 16" in lines and "EVENT_SET 22" in lines


@pytest.mark.parametrize(
    "changed",
    [
        {"SCHEMAS": first_schema(steps=steps_with(prediction=column_plan.FOLLOW))},
        {"SCHEMAS": first_schema(steps=steps_with(default=(1, 5, 1)))},
        {"SCHEMAS": first_schema(group=(0, 1, 1))},
        {"SCHEMAS": first_schema(number=3)},
        {"SCHEMAS": first_schema(layout=renamed(SCHEMAS[0].layout, "priority", "place"))},
        {"VIEWS": ("link_book",)},
        {"names": lambda enum, prefix: names(enum, prefix) | ({1: "LINK_OTHER"} if enum == "link_kind" else {})},
        {"names": lambda enum, prefix: {-n: word for n, word in names(enum, prefix).items()}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_makes_the_same_bytes_another_record_makes_another_number(changed, monkeypatch):
    assert number(monkeypatch) == layouts()
    assert number(monkeypatch, **changed) != layouts()


def test_schemas_that_no_stream_carries_play_no_part(monkeypatch):
    assert number(monkeypatch, SCHEMAS=SCHEMAS[:3]) == layouts()


def test_fields_inside_others_have_their_own_lines():
    inner = np.dtype([("a", "<u4"), ("b", "<i8", (2, 3))])
    outer = np.dtype([("head", "u1"), ("part", inner)])
    assert list(fields(outer)) == ["head |u1 0", "part.a <u4 1", "part.b <i8[2][3] 5"]
