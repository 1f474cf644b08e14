"""Schemas: which columns a record has and what each is predicted from, as a plan that the kernels read.

    Schema(number, dtype, steps)  ─ plan_of ─►  array of words (column_plan.py)

A schema is derived from a numpy dtype, so it follows a change of the struct; a field that no step names is a plain
difference to the record before. Hard rule: every byte of a record belongs to exactly one column, or the schema is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.link.compression import column_plan as plan
from gateway.link.compression.column_history import RANKED

NEAR = 0 | 1 << 1 | 0 << 4  # default code: small and not negative
WIDTHS = (8, 4, 2, 1)


@dataclass(frozen=True)
class Step:
    """How one field is coded. `default` is the code used unless a stream says otherwise: (signed, code, floor)."""

    name: str
    operation: int = plan.DELTA
    prediction: int = plan.PREVIOUS
    scaled: bool = False
    grouped: bool = False
    absent: bool = False
    step: int = 0
    first: int = 0
    beside: str = ""
    ranks: Sequence[int] = ()
    default: tuple[int, int, int] = (0, 1, 0)
    defaults: tuple[tuple[int, int, int], ...] = ()  # of IDENTITY: made, seen, unseen, others


@dataclass(frozen=True)
class Schema:
    """A record layout. `kind` names the byte that says what a record is; `classes` what a kind does with the identity."""

    number: int
    name: str
    layout: np.dtype
    steps: Sequence[Step]
    kind: str = ""
    classes: Mapping[int, int] = field(default_factory=dict)
    rename: str = ""
    symbol: str = ""
    side: str = ""
    group: tuple[int, int, int] = (0, 0, 1)

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return self.layout.itemsize


Field = tuple[int, int]  # offset, width; negative when signed


def fields_of(layout: np.dtype, prefix: str = "", offset: int = 0) -> dict[str, Field]:
    """Name → place of every number in a layout; nested structs by `outer.inner`, arrays and texts cut into words."""
    found: dict[str, Field] = {}
    for name in layout.names or ():
        inner, begin = layout.fields[name][:2]  # type: ignore[index]
        where, full = offset + begin, prefix + name
        if inner.names:
            found |= fields_of(inner, full + ".", where)
        elif inner.kind in "iu" and inner.itemsize in WIDTHS:
            found[full] = (where, -4 if inner == np.dtype("<i4") else inner.itemsize)
        else:
            found |= _words(full, where, inner.itemsize)
    return found


def _words(name: str, offset: int, length: int) -> dict[str, Field]:
    found, done = {}, 0
    while done < length:
        width = next(width for width in WIDTHS if width <= length - done)
        found[f"{name}[{done}]"] = (offset + done, width)
        done += width
    return found


def plan_of(schema: Schema) -> np.ndarray:
    """The words of column_plan.py. Raises ValueError for a schema that does not cover its record, or too much of it."""
    places = fields_of(schema.layout)
    steps = list(schema.steps)
    named = {step.name for step in steps}
    steps = [*steps, *(Step(name) for name in places if name not in named)]
    _check(schema, places, steps)
    rows = [_control(plan.KINDS)] if schema.kind else []
    if any(step.grouped for step in steps):
        rows.insert(0, _control(plan.GROUP, _default(schema.group)))
    kinds = [row for step in steps if step.name == schema.kind for row in [_column(step, places)]]
    rows = [*rows[:-1], *kinds, *rows[-1:]] if schema.kind else rows
    keyed = False
    for step in steps:
        if step.name == schema.kind:
            continue
        if step.prediction == plan.ORDER and step.operation == plan.DELTA and not keyed:
            rows.append(_control(plan.KEYS))
            keyed = True
        rows.append(_column(step, places))
    if len(rows) > plan.STEPS_MAX:
        raise ValueError(f"schema {schema.name}: {len(rows)} steps are more than {plan.STEPS_MAX}")
    return np.array([*_head(schema, places, len(rows)), *(word for row in rows for word in row)], np.int64)


def _check(schema: Schema, places: dict[str, Field], steps: Sequence[Step]) -> None:
    covered = np.zeros(schema.record_bytes, np.int64)
    for step in steps:
        if step.name not in places:
            raise ValueError(f"schema {schema.name}: {step.name} is no field of the record")
        offset, width = places[step.name]
        covered[offset : offset + abs(width)] += 1
        if step.operation in (plan.RANK,) and width != 1 or step.operation == plan.IDENTITY and width != 8:
            raise ValueError(f"schema {schema.name}: {step.name} has the wrong width")
    if not (covered == 1).all():
        raise ValueError(f"schema {schema.name}: a byte of the record is in no column, or in two")


def _head(schema: Schema, places: dict[str, Field], steps: int) -> list[int]:
    def offset(name: str, absent: int = -1) -> int:
        return places[name][0] if name else absent

    kind = offset(schema.kind)
    identity = next((step.name for step in schema.steps if step.operation == plan.IDENTITY), "")
    symbol_width = places[schema.symbol][1] if schema.symbol else 1
    classes = np.full(256, plan.NAMES_NONE, np.uint8)
    for value, meaning in schema.classes.items():
        classes[value] = meaning
    head = [schema.record_bytes, steps, kind, offset(identity), offset(schema.rename, offset(identity))]
    head += [offset(schema.symbol, max(kind, 0)), symbol_width, offset(schema.side, max(kind, 0))]
    return [*head, *classes.view(np.int64).tolist()]


def _default(code: tuple[int, int, int]) -> int:
    signed, number, floor = code
    return signed | number << 1 | floor << 4


def _control(operation: int, default: int = 0) -> list[int]:
    row = [0] * plan.COLUMN_WORDS
    row[plan.OPERATION], row[plan.DEFAULT] = operation, default
    return row


def _column(step: Step, places: dict[str, Field]) -> list[int]:
    row = _control(step.operation)
    row[plan.OFFSET], row[plan.WIDTH] = places[step.name]
    row[plan.PREDICTION], row[plan.SCALED], row[plan.GROUPED] = step.prediction, step.scaled, step.grouped
    row[plan.ABSENT], row[plan.STEP], row[plan.FIRST] = step.absent, step.step, step.first
    if step.beside:
        row[plan.OTHER_OFFSET], row[plan.OTHER_WIDTH] = places[step.beside]
    row[plan.RANKS] = _ranks(step.ranks)
    for index, code in enumerate(step.defaults or (step.default,)):
        row[plan.DEFAULT + index] = _default(code)
    return row


def _ranks(first: Sequence[int]) -> int:
    """A list of RANKED different bytes that begins with `first`."""
    rest = (value for value in range(256) if value not in first)
    listed = [*first, *rest][:RANKED]
    return sum(value << (8 * place) for place, value in enumerate(listed))
