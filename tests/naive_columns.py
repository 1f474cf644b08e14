"""The column format in plain Python, from docs/protocols/link-compression.md: lists and integers, one bit at a time.

`unpack` reads what the kernels write; `pack` writes with codes of the caller's choice, so that every code and floor is met.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.link.compression import column_plan as plan
from gateway.link.compression.column_codes import ESCAPE, LENGTHS, codes_of
from gateway.link.compression.column_schema import Schema, Step, fields_of

WORD = 1 << 64
BLOCK = 256
FIRST_LISTED = 7

Code = tuple[int, int]  # number, floor


def signed(value: int) -> int:
    """The 64-bit pattern as a signed number."""
    value %= WORD
    return value - WORD if value >> 63 else value


def zigzag(value: int) -> int:
    """Signs folded in."""
    value = signed(value)
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """The opposite."""
    return value >> 1 if value & 1 == 0 else -((value + 1) >> 1)


class Bits:
    """Bits in order, to read or to write."""

    def __init__(self, data: bytes = b""):
        self.bits = deque(byte >> place & 1 for byte in data for place in range(8))

    def take(self, count: int) -> int:
        """The next bits as a number, lowest first."""
        if count > len(self.bits):
            raise ValueError("TRUNCATED")
        return sum(self.bits.popleft() << place for place in range(count))

    def put(self, value: int, count: int) -> None:
        """Appends bits, lowest first."""
        self.bits.extend(value >> place & 1 for place in range(count))

    def data(self) -> bytes:
        """Whole bytes."""
        bits = [*self.bits, *[0] * (-len(self.bits) % 8)]
        return bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))


@dataclass
class Stream:
    """One stream as it was coded: for those who count."""

    name: str
    default: int
    signed: int
    values: list[int]


class Coder:
    """Streams to bits or back; `choose` gives the code of a stream when writing, None for the default."""

    def __init__(self, data: bytes | None = None, choose: Callable[[str, list[int]], Code | None] | None = None):
        self.bits, self.reading, self.choose = Bits(data or b""), data is not None, choose
        self.told: list[Stream] = []

    def stream(self, name: str, values: list[int] | int, default: int, fold: bool, scale: int = -1, head: int | None = None):
        """(values, head, unit): writes `values`, or reads as many as `values` says; scale -1 is a column without."""
        if self.reading:
            return self._read(name, values, default, scale >= 0, head is not None)  # type: ignore[arg-type]
        self._write(name, values, default, fold, scale, head)  # type: ignore[arg-type]
        return values, head, 1

    def _read(self, name: str, count: int, default: int, scaled: bool, with_head: bool):
        take = self.bits.take
        if take(1) == 0:
            return [0] * count, 0, 1
        folded, code, floor = default & 1, default >> 1 & 7, default >> 4
        if take(1) == 0:
            folded, code, floor = take(1), take(3), take(6)
        unit = 1
        if scaled and take(1):
            unit = 2 ** take(4) * 5 ** take(4)
        head = 0
        if with_head:
            length = take(6)
            head = take(64) if length == 63 else (1 << (length - 1) | take(length - 1) if length else 0)
        symbols = [self._symbol(code) for _ in range(count)]
        values = []
        for symbol in symbols:
            bits = floor + symbol - 1
            if symbol == ESCAPE:
                bits = take(6)
            if symbol and bits > 63:
                raise ValueError("TRUNCATED")
            values.append(1 << bits | take(bits) if symbol else take(floor))
        self.told.append(Stream(name, default, folded, values))
        return [signed((unzigzag(value) if folded else value) * unit) for value in values], head, unit

    def _symbol(self, code: int) -> int:
        if code == 0:
            return 0
        known = {(bits, text): symbol for symbol, (text, bits) in enumerate(codes_of(LENGTHS[code]))}
        text = 0
        for bits in range(1, 9):
            text |= self.bits.take(1) << (bits - 1)
            if (bits, text) in known:
                return known[bits, text]
        raise AssertionError("a complete code has a symbol for any eight bits")

    def _write(self, name: str, values: list[int], default: int, fold: bool, scale: int, head: int | None) -> None:
        put, head_bits = self.bits.put, (head or 0).bit_length()
        if not any(values) and not head:
            put(0, 1)
            return
        folded = int(fold and any(signed(value) < 0 for value in values))
        words = [zigzag(value) if folded else value % WORD for value in values]
        chosen = self.choose(name, words) if self.choose else None
        fits = folded == default & 1 and (default >> 1 & 7 or all(word.bit_length() <= default >> 4 for word in words))
        if chosen is None and fits:
            put(3, 2)
            code, floor = default >> 1 & 7, default >> 4
        else:
            code, floor = chosen or (1, 0)
            put(1 | folded << 2 | code << 3 | floor << 6, 12)
        if scale >= 0:
            put(scale << 1 | (scale != 0), 9 if scale else 1)
        if head is not None:
            put(min(head_bits, 63), 6)
            put(head, 64 if head_bits >= 63 else max(head_bits - 1, 0))
        self._put_words(words, code, floor)

    def _put_words(self, words: list[int], code: int, floor: int) -> None:
        symbols = [min(max(word.bit_length() - floor, 0), ESCAPE) for word in words]
        codes = codes_of(LENGTHS[code])
        for symbol in symbols:
            self.bits.put(*codes[symbol])
        for symbol, word in zip(symbols, words, strict=True):
            if symbol == ESCAPE:
                self.bits.put(word.bit_length() - 1, 6)
            self.bits.put(word, word.bit_length() - 1 if symbol else floor)


@dataclass
class Table:
    """Records as columns of integers, and what is known of those before."""

    schema: Schema
    count: int
    columns: dict[str, list[int]]
    recent: dict[str, list[int]] = field(default_factory=dict)
    lasts: dict[str, list[int]] = field(default_factory=dict)
    before: list[int | None] = field(default_factory=list)
    reference: list[int | None] = field(default_factory=list)
    like: list[int] = field(default_factory=list)
    new: list[bool] = field(default_factory=list)
    kinds: dict[int, int] = field(default_factory=dict)
    keys: dict[tuple[int, ...], int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    newest: int = 0
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def store(self, name: str, index: int, value: int) -> None:
        """A field keeps what its width holds."""
        width = self.places[name][1]
        value %= 1 << (8 * abs(width))
        self.columns[name][index] = value - (1 << 32) if width == -4 and value >> 31 else value

    def meaning(self, index: int) -> int:
        """What the record does with its identity column."""
        return self.schema.classes.get(self.columns[self.schema.kind][index], plan.NAMES_NONE)

    def name_after(self, index: int) -> int:
        """The order's name behind the record."""
        identity = next(step.name for step in self.schema.steps if step.operation == plan.IDENTITY)
        return self.columns[self.schema.rename if self.meaning(index) == plan.RENAMES else identity][index]


def _steps(schema: Schema) -> list[Step]:
    """Every step in its order; the kind's first, fields that no step names last."""
    named = {step.name for step in schema.steps}
    rest = [Step(name) for name in fields_of(schema.layout) if name not in named]
    return sorted([*schema.steps, *rest], key=lambda step: step.name != schema.kind)


def _code(code: tuple[int, int, int]) -> int:
    return code[0] | code[1] << 1 | code[2] << 4


def _scale(values: list[int]) -> tuple[int, int]:
    """(scale, unit) of what all have in common."""
    if not any(values):
        return 0, 1
    two, five = (
        min(next(power for power in range(15, -1, -1) if value % base**power == 0) for value in values) for base in (2, 5)
    )
    return two | five << 4, 2**two * 5**five


def _block(table: Table, coder: Coder, begin: int, end: int) -> None:
    table.before, table.reference, table.like = [None] * (end - begin), [None] * (end - begin), [0] * (end - begin)
    steps = _steps(table.schema)
    if any(step.grouped for step in steps):
        _group(table, coder, steps, begin, end)
    keyed = False
    for step in steps:
        if step.operation == plan.DELTA and step.prediction == plan.ORDER and not keyed:
            _keys(table, begin, end)
            keyed = True
        {plan.DELTA: _delta, plan.PLAIN: _plain, plan.RANK: _rank, plan.IDENTITY: _identity}[step.operation](
            table, coder, step, begin, end
        )
        if step.name == table.schema.kind:
            for index in range(begin, end):
                kind = table.columns[step.name][index]
                table.before[index - begin] = table.kinds.get(kind)
                table.kinds[kind] = index


def _group(table: Table, coder: Coder, steps: list[Step], begin: int, end: int) -> None:
    names = [step.name for step in steps if step.grouped]
    first = max(begin, 1)
    if coder.reading:
        values, _, _ = coder.stream("group", end - first, _code(table.schema.group), False)
        table.new = [True] * (first - begin) + [value == 0 for value in values]
        return
    column = table.columns
    table.new = [
        index == 0 or any(column[name][index] != column[name][index - 1] for name in names) for index in range(begin, end)
    ]
    coder.stream("group", [int(not new) for new in table.new[first - begin :]], _code(table.schema.group), False)


def _keys(table: Table, begin: int, end: int) -> None:
    schema, column = table.schema, table.columns
    kind = column[schema.kind]
    for index in range(begin, end):
        symbol = column[schema.symbol or schema.kind][index]
        side = column[schema.side or schema.kind][index]
        word = (kind[index] | side << 8 | symbol << 16) % WORD
        key = word * 0x9E3779B97F4A7C15 % WORD >> 56
        found = table.reference[index - begin]
        table.like[index - begin] = table.keys.get(key, max(index - 1, 0)) if found is None else found
        table.keys[key] = index


def _absent(table: Table, step: Step, index: int, begin: int) -> bool:
    before = table.before[index - begin]
    return step.absent and before is not None and table.columns[step.name][before] == 0


def _delta(table: Table, coder: Coder, step: Step, begin: int, end: int) -> None:
    values = table.columns[step.name]
    beside = table.columns[step.beside] if step.beside else [0] * table.count

    def guess(index: int) -> int:
        base = index - 1
        if step.prediction == plan.ORDER:
            base = table.like[index - begin]
        elif step.prediction == plan.KIND and table.before[index - begin] is not None:
            base = table.before[index - begin]  # type: ignore[assignment]
        expected = 0 if _absent(table, step, index, begin) else values[base]
        return expected + beside[index] - beside[base] + step.step

    listed = [index for index in range(begin, end) if index and (not step.grouped or table.new[index - begin])]
    residuals, head, scale, unit = len(listed), 0 if begin == 0 else None, 0 if step.scaled else -1, 1
    if not coder.reading:
        residuals = [signed(values[index] - guess(index)) for index in listed]
        head = zigzag(values[0] - step.first - beside[0]) if begin == 0 else None
        if step.scaled:
            scale, unit = _scale(residuals)
        residuals = [value // unit for value in residuals]
    found, head, _ = coder.stream(step.name, residuals, _code(step.default), True, scale, head)
    if not coder.reading:
        return
    rest = deque(found)
    for index in range(begin, end):
        if index == 0:
            table.store(step.name, 0, step.first + beside[0] + unzigzag(head))
        else:
            table.store(step.name, index, guess(index) + rest.popleft() if index in listed else values[index - 1])


def _plain(table: Table, coder: Coder, step: Step, begin: int, end: int) -> None:
    values = table.columns[step.name]

    def guess(index: int) -> int | None:
        if _absent(table, step, index, begin):
            return -step.first % WORD
        reference = table.reference[index - begin]
        return None if reference is None else (values[reference] - step.first) % WORD

    scale, unit = 0 if step.scaled else -1, 1
    if not coder.reading:
        amounts = [(values[index] - step.first) % WORD for index in range(begin, end)]
        guesses = [guess(index) for index in range(begin, end)]
        both = [*amounts, *(known for known in guesses if known is not None)]
        if step.scaled and all(value < WORD >> 1 for value in both):
            scale, unit = _scale(both)
        coded = []
        for amount, known in zip(amounts, guesses, strict=True):
            small = amount // unit
            coded.append(small if known is None else 0 if amount == known else small + (amount < known))
        coder.stream(step.name, coded, _code(step.default), False, scale)
        return
    found, _, unit = coder.stream(step.name, end - begin, _code(step.default), False, scale)
    for index, value in zip(range(begin, end), found, strict=True):
        known = guess(index)
        if known is not None:
            value = known if value % WORD == 0 else (value - unit) % WORD if (value - unit) % WORD < known else value
        table.store(step.name, index, step.first + value)


def _front(recent: list[int], value: int) -> None:
    if value in recent:
        recent.remove(value)
    recent.insert(0, value)
    del recent[FIRST_LISTED:]


def _rank(table: Table, coder: Coder, step: Step, begin: int, end: int) -> None:
    values = table.columns[step.name]
    if begin == 0:
        table.recent[step.name] = [*step.ranks, *(value for value in range(256) if value not in step.ranks)][:FIRST_LISTED]
        table.lasts[step.name] = [step.first & 255, step.first >> 8 & 255]
    recent, lasts = table.recent[step.name], table.lasts[step.name]
    rest = None
    if coder.reading:
        found, _, _ = coder.stream(step.name, end - begin, _code(step.default), False)
        rest = deque(found)
    told = []
    for index in range(begin, end):
        place = index - begin
        follows = place + 1 < end - begin and step.prediction == plan.FOLLOW and not table.new[place + 1]
        guess = _byte_guess(table, step, index, begin, lasts[follows])
        if guess is not None:
            _front(recent, guess)
        if rest is not None:
            rank = rest.popleft() % WORD
            if rank > FIRST_LISTED + 255:
                raise ValueError("VALUE")
            values[index] = recent[rank] if rank < FIRST_LISTED else rank - FIRST_LISTED
        told.append(recent.index(values[index]) if values[index] in recent else FIRST_LISTED + values[index])
        _front(recent, values[index])
        lasts[follows] = values[index]
    if rest is None:
        coder.stream(step.name, told, _code(step.default), False)


def _byte_guess(table: Table, step: Step, index: int, begin: int, last: int) -> int | None:
    values, before, reference = table.columns[step.name], table.before[index - begin], table.reference[index - begin]
    if step.prediction == plan.FOLLOW:
        return last
    if step.prediction == plan.KIND:
        return None if before is None else values[before]
    if step.prediction == plan.ORDER:
        if _absent(table, step, index, begin):
            return 0
        return None if reference is None else values[reference]
    return None


def _identity(table: Table, coder: Coder, step: Step, begin: int, end: int) -> None:
    values = table.columns[step.name]
    kinds = [table.meaning(index) for index in range(begin, end)]
    streams: list[list[int]] = [[], [], [], []]
    if coder.reading:
        _read_names(coder, step, kinds, streams)
    rests = [deque(stream) for stream in streams]
    for index, kind in zip(range(begin, end), kinds, strict=True):
        if kind == plan.NAMES_NONE:
            before = table.before[index - begin]
            _one_name(table, coder, step, index, 0 if before is None else values[before], streams[3], rests[3])
            continue
        if kind == plan.CREATES:
            _one_name(table, coder, step, index, table.newest + 1, streams[0], rests[0])
            table.newest = values[index]
        else:
            _earlier_name(table, coder, step, index, begin, streams, rests)
        if kind == plan.RENAMES:
            table.newest = table.name_after(index)
        table.seen[table.name_after(index)] = index
    if not coder.reading:
        codes = [_code(code) for code in step.defaults]
        for number, fold in enumerate((True, False, True, True)):
            coder.stream(f"{step.name} {number}", streams[number], codes[number], fold)


def _read_names(coder: Coder, step: Step, kinds: list[int], streams: list[list[int]]) -> None:
    others, made = kinds.count(plan.NAMES_NONE), kinds.count(plan.CREATES)
    codes = [_code(code) for code in step.defaults]
    streams[0], _, _ = coder.stream(f"{step.name} 0", made, codes[0], True)
    streams[1], _, _ = coder.stream(f"{step.name} 1", len(kinds) - made - others, codes[1], False)
    streams[2], _, _ = coder.stream(f"{step.name} 2", streams[1].count(0), codes[2], True)
    streams[3], _, _ = coder.stream(f"{step.name} 3", others, codes[3], True)


def _one_name(table: Table, coder: Coder, step: Step, index: int, guess: int, stream: list[int], rest: deque) -> None:
    if coder.reading:
        table.store(step.name, index, guess + rest.popleft())
    else:
        stream.append(signed(table.columns[step.name][index] - guess))


def _earlier_name(table: Table, coder: Coder, step: Step, index: int, begin: int, streams: list, rests: list) -> None:
    values = table.columns[step.name]
    if coder.reading:
        distance = rests[1].popleft()
        if distance:
            if not 0 < distance <= index or table.meaning(index - distance) == plan.NAMES_NONE:
                raise ValueError("REFERENCE")
            table.reference[index - begin] = index - distance
            values[index] = table.name_after(index - distance)
            return
    else:
        found = table.seen.get(values[index])
        table.reference[index - begin] = found
        streams[1].append(0 if found is None else index - found)
        if found is not None:
            return
    _one_name(table, coder, step, index, table.newest, streams[2], rests[2])
    table.newest = table.newest or values[index]


def _table(schema: Schema, count: int) -> Table:
    places = fields_of(schema.layout)
    return Table(schema, count, {name: [0] * count for name in places}, places=places)


def unpack(schema: Schema, body: bytes, count: int) -> tuple[bytes, list[Stream]]:
    """Records of the columns in `body` (its first byte left out), and every stream in it."""
    table, coder = _table(schema, count), Coder(body)
    for begin in range(0, count, BLOCK):
        _block(table, coder, begin, min(begin + BLOCK, count))
    raw = bytearray(count * schema.record_bytes)
    for name, (offset, width) in table.places.items():
        for index, value in enumerate(table.columns[name]):
            at = index * schema.record_bytes + offset
            raw[at : at + abs(width)] = (value % (1 << 8 * abs(width))).to_bytes(abs(width), "little")
    if any(coder.bits.bits) or len(coder.bits.bits) > 7 + 8 * len(raw) // 255:
        raise ValueError("LENGTH")
    return bytes(raw), coder.told


def pack(schema: Schema, raw: bytes, choose: Callable[[str, list[int]], Code | None] | None = None) -> bytes:
    """The columns of whole records; every stream in the code that `choose` gives it."""
    count = len(raw) // schema.record_bytes
    table, coder = _table(schema, count), Coder(choose=choose)
    for name, (offset, width) in table.places.items():
        for index in range(count):
            at = index * schema.record_bytes + offset
            table.columns[name][index] = int.from_bytes(raw[at : at + abs(width)], "little", signed=width < 0)
    for begin in range(0, count, BLOCK):
        _block(table, coder, begin, min(begin + BLOCK, count))
    return coder.bits.data()
