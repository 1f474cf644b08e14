"""Source text of a feed's packets ④: header, length, compression, frames, and what becomes of a message that is refused.

Part of the normaliser generator (normaliser.py). Hard rule: the same packet has the same messages and the same reasons in
gateway/venues/packets.py, its slow twin.
"""

from gateway import limits
from gateway.layout import offsets
from gateway.layout import value as enumerator
from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import INDENT, Lines, indent
from gateway.protocols.sbe.model import Schema
from gateway.venues.definition import Definition
from gateway.venues.header_layout import MessageHeader, Place, message_header, packet_place, place_of
from gateway.venues.packets import frame_adds

UNMAPPED = 2
REASONS = {
    name: enumerator(f"FEED_{name}")
    for name in (
        "PACKET_SHORT",
        "BLOCK_OVERRUN",
        "PACKET_TRAILING",
        "MESSAGE_LENGTH",
        "MESSAGE_UNKNOWN",
        "MESSAGE_FIELD",
        "SCHEMA_OTHER",
        "COMPRESSION",
    )
}
DECODER = offsets("decoder")
INFORMATION = enumerator("EVENT_INFORMATION")
BY_TYPE, MESSAGES = offsets("core_counters").messages_by_type, offsets("core_counters").messages


def load_place(place: Place, address: str) -> str:
    """Expression of a header's number."""
    kind = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}[place.width]
    return emit.load_number(kind if place.signed else f"u{kind}", emit.at(address, place.offset), place.big_endian)


def packet_text(definition: Definition, schema: Schema) -> str:
    """`begin`, `one_message` and `decode` of a feed."""
    header = message_header(definition, schema)
    parts = [begin_text(definition), message_text(definition, schema, header), decode_text(definition)]
    return "\n\n\n".join(parts)


def begin_text(definition: Definition) -> str:
    """The packet header: finds body and end, or refuses with what is lost. Returns 1 when there are messages to look for."""
    rules = definition.packet
    lines: Lines = ['"""The packet header; 1: its messages stand from `body` to `end`."""']
    lines += ["counters = load_i64(state + STATE.counters)", *refuse(f"size < {rules.header_bytes}", "PACKET_SHORT", 0)]
    encoding = packet_place(definition, "encoding")
    if encoding is not None and rules.encoding is not None:
        lines += refuse(f"{load_place(encoding, 'packet')} != {rules.encoding.value}", "MESSAGE_FIELD", 1)
    lines += [f"begin, end = packet + {rules.header_bytes}, packet + size"]
    stated = packet_place(definition, "header_length")
    if stated is not None:
        lines += [f"stated = {load_place(stated, 'packet')}", "if stated != 0:", f"{INDENT}begin = packet + stated"]
        lines += refuse(f"stated != 0 and (stated < {rules.header_bytes} or stated > size)", "PACKET_SHORT", 1)
    lines += _length(definition)
    kind = packet_place(definition, "type")
    if kind is not None and rules.silent_types:
        test = " or ".join(f"kind == {number}" for number in rules.silent_types)
        lines += [f"kind = {load_place(kind, 'packet')}", f"if {test}:", f"{INDENT}return 0"]
    compression = packet_place(definition, "compression")
    if compression is not None and rules.compression is not None:
        target, room = "load_i64(state + STATE.unpacked)", limits.PACKET_UNPACKED_MAX
        unpacked = [f"unpacked = unpack(begin, end - begin, {target}, {room})", *refuse("unpacked < 0", "COMPRESSION", 1)]
        unpacked += [f"begin = {target}", "end = begin + unpacked"]
        lines += [f"if ({load_place(compression, 'packet')} >> {rules.compression.bit}) & 1:", *indent(unpacked)]
    lines += ["store_i64(state + STATE.body, begin)", "store_i64(state + STATE.end, end)", "return 1"]
    return "\n".join(["@kernel\ndef begin_packet(state, packet, size):", *indent(lines)])


def _length(definition: Definition) -> Lines:
    """What the packet says of its own length."""
    rules = definition.packet
    place = packet_place(definition, "length")
    if place is None or rules.length is None:
        return []
    rest = rules.length.offset + rules.length.bytes
    adds = {"packet": "0", "rest": str(rest), "behind_header": "(begin - packet)"}[rules.length_counts]
    lines = [f"length = {load_place(place, 'packet')} + {adds}"]
    lines += refuse("length < begin - packet or length > size", "PACKET_SHORT", 1)
    return [
        *lines,
        "if length < size:",
        f"{INDENT}count_reason(counters, {REASONS['PACKET_TRAILING']})",
        "end = packet + length",
    ]


def refuse(test: str, reason: str, lost: int) -> Lines:
    """Lines that count a reason and leave; `lost` is the gap this means."""
    lines = [f"if {test}:", f"{INDENT}count_reason(counters, {REASONS[reason]})"]
    if lost:
        lines.append(f"{INDENT}write_gap(state, {lost})")
    return [*lines, f"{INDENT}return 0"]


def message_text(definition: Definition, schema: Schema, header: MessageHeader) -> str:
    """One message behind its frame: its header, its function, and what comes of a refusal. 0, SUSPENDED, or STOP."""
    lines: Lines = [
        '"""One message, its header included; SUSPENDED: again with the next call; -1: nobody knows where it ends."""'
    ]
    lines += ["counters = load_i64(state + STATE.counters)", f"code, template = {-REASONS['MESSAGE_LENGTH']}, 0"]
    inner: Lines = [f"template = {load_place(header.template, 'header')}", f"block = header + {header.size}"]
    inner.append(f"version = {load_place(header.version, 'header') if header.version else schema.version}")
    if header.block_length is not None:
        inner.append(f"block_bytes = {load_place(header.block_length, 'header')}")
    else:
        inner += _block_lengths(schema)
    ids = definition.header.schema_ids if definition.header.schema_ids is not None else [schema.id]
    call = "dispatch(state, template, packet, header, block, block_bytes, version, end)"
    inner.append("store_i64(state + STATE.message_type, template)")
    if header.schema_id is not None and ids:
        test = " or ".join(f"schema_id == {number}" for number in ids)
        inner += [f"schema_id = {load_place(header.schema_id, 'header')}", f"code = {-REASONS['SCHEMA_OTHER']}"]
        inner += [f"if {test}:", f"{INDENT}code = {call}"]
    else:
        inner.append(f"code = {call}")
    lines += [f"if end - header >= {header.size}:", *indent(inner), *_settle(definition.framing is not None)]
    return "\n".join(["@kernel\ndef one_message(state, packet, header, end):", *indent(lines)])


def _block_lengths(schema: Schema) -> Lines:
    """Of a header without a block length: the schema's, or all there is where nothing follows the root block."""
    lines: Lines = ["block_bytes = 0"]
    for message in schema.messages.values():
        flat = not (message.groups or message.data)
        length = f"max({message.block_length}, end - block)" if flat else str(message.block_length)
        lines += [f"if template == {message.id}:", f"{INDENT}block_bytes = {length}"]
    return lines


def _settle(framed: bool) -> Lines:
    """What a message's code means: counted, told, gone over. Without frames an unknown one hides all that follow."""
    unknown = REASONS["MESSAGE_UNKNOWN"] if framed else 0
    return [
        f"if code == {UNMAPPED}:",
        f"{INDENT}code = write_event(state, 0, {INFORMATION}, 0, 0, 0, 0, 0, 0, 0)",
        "if code == SUSPENDED:",
        f"{INDENT}return SUSPENDED",
        "if code == 0:",
        f"{INDENT}add_to(counters + {MESSAGES}, 1)",
        f"{INDENT}add_to(counters + {BY_TYPE} + 8 * (template & 255), 1)",
        f"{INDENT}return 0",
        f"if code == {-unknown or 99}:",
        f"{INDENT}if write_event(state, 0, {INFORMATION}, 0, 0, 0, 0, 0, 0, 0) != 0:",
        f"{INDENT * 2}return SUSPENDED",
        "elif write_gap(state, 1) != 0:",
        f"{INDENT}return SUSPENDED",
        "count_reason(counters, -code)",
        "return -1",
    ]


def decode_text(definition: Definition) -> str:
    """The walk over a packet's messages."""
    rules = definition.packet
    lines: Lines = ['"""int64 decode(struct decoder *): native/layout/decoder.h."""', *_prepare()]
    sequence, count = packet_place(definition, "sequence"), packet_place(definition, "count")
    # a packet shorter than its header is refused below, before any other number of it is read
    guard = f" if size >= {rules.header_bytes} else 0"
    lines.append(f"first = {load_place(sequence, 'packet') + guard if sequence else 0}")
    lines += ["store_i64(state + STATE.sequence, first)", "store_i64(state + STATE.message_type, 0)"]
    lines += ["store_i64(state + STATE.skip, 0)"]
    begin = ["if begin_packet(state, packet, size) == 0:", f"{INDENT}return load_i64(state + STATE.written)"]
    begin += ["store_i64(state + STATE.at, load_i64(state + STATE.body))", "store_i64(state + STATE.number, 0)"]
    lines += [f"if load_i64(decoder + {DECODER.cursor}) == 0:", *indent([*begin, "store_i64(state + STATE.done, 0)"])]
    lines += ["store_i64(state + STATE.skip, load_i64(state + STATE.done))", "store_i64(state + STATE.done, 0)"]
    lines += ["at, end = load_i64(state + STATE.at), load_i64(state + STATE.end)", "number = load_i64(state + STATE.number)"]
    by_message = rules.sequence_counts == "messages"
    skip = f"load_u32(decoder + {DECODER.skip})" if by_message else "0"
    lines.append(f"skip = {skip}")
    more = "at < end"
    if count is not None:
        lines.append(f"count = {load_place(count, 'packet')}")
        if rules.count_end:
            lines += [f"if count == {rules.count_end}:", f"{INDENT}count = 0"]
        more = "at < end and number < count"
    lines += [f"while {more}:", *indent(_one(definition, by_message))]
    if count is not None:
        lines += _counted(by_message, _suspend())
    lines.append("return load_i64(state + STATE.written)")
    return "\n".join(["def decode(decoder):", *indent(lines)])


def _prepare() -> Lines:
    names = ("events", "counters", "instruments", "time_receive_ns")
    lines = [f"state = load_i64(decoder + {DECODER.context})"]
    lines += [f"store_i64(state + STATE.{name}, load_i64(decoder + {getattr(DECODER, name)}))" for name in names]
    lines += [f"packet, size = load_i64(decoder + {DECODER.payload}), load_u32(decoder + {DECODER.size})"]
    return [*lines, "counters = load_i64(state + STATE.counters)", "store_i64(state + STATE.written, 0)"]


def _lost(by_message: bool, counted: bool) -> str:
    """How many messages are lost with the rest of a packet."""
    return "count - number" if by_message and counted else "1"


def _suspend() -> Lines:
    """No room for another event: go on here with the next call."""
    return [
        "store_i64(state + STATE.at, at)",
        "store_i64(state + STATE.number, number)",
        f"store_u32(decoder + {DECODER.more}, 1)",
        f"store_i64(decoder + {DECODER.cursor}, 1)",
        "return load_i64(state + STATE.written)",
    ]


def _one(definition: Definition, by_message: bool) -> Lines:
    """One turn of the walk: the frame, the message, and where the next one stands."""
    framing, counted = definition.framing, definition.packet.count is not None
    suspend = _suspend()
    lines: Lines = [f"store_i64(state + STATE.sequence, first{' + number' if by_message else ''})"]
    lost = _lost(by_message, counted)
    stop = [f"if write_gap(state, {lost}) != 0:", *indent(suspend), f"count_reason(counters, {REASONS['BLOCK_OVERRUN']})"]
    stop.append("return load_i64(state + STATE.written)")
    if framing is not None:
        place = place_of(definition, framing.length, framing)
        encoding = place_of(definition, framing.encoding, framing) if framing.encoding else None
        head = max(framing.header_bytes, *(item.offset + item.width for item in (place, encoding) if item))
        lines += [f"frame_bytes = {frame_adds(framing)}", f"if end - at >= {head}:"]
        lines += [f"{INDENT}frame_bytes += {load_place(place, 'at')}", f"if frame_bytes < {head} or frame_bytes > end - at:"]
        lines += [*indent(stop), "next_at = at + frame_bytes"]
        call = f"one_message(state, packet, at + {framing.header_bytes}, next_at)"
        if encoding and framing.encoding:
            call = f"{call} if {load_place(encoding, 'at')} == {framing.encoding.value} else other_encoding(state)"
    else:
        lines.append("next_at = end")
        call = "one_message(state, packet, at, end)"
    if by_message:
        # without frames a message that was seen has to be walked to find the next one; its events are taken back
        lines += ["if number >= skip:", *indent([f"code = {call}"]), "else:", *indent(_passed(framing is not None))]
    else:
        lines.append(f"code = {call}")
    lines += ["if code == SUSPENDED:", *indent(suspend)]
    if framing is None:
        lines += ["if code == 0:", f"{INDENT}next_at = load_i64(state + STATE.next)"]
    return [*lines, "at = next_at", "number += 1", "store_i64(state + STATE.skip, 0)", "store_i64(state + STATE.done, 0)"]


def _passed(framed: bool) -> Lines:
    """A message that the other line brought before."""
    if framed:
        return ["code = 0"]
    before = "load_i64(state + STATE.written)"
    return [f"before = {before}", "code = one_message(state, packet, at, end)", "store_i64(state + STATE.written, before)"]


def _counted(by_message: bool, suspend: Lines) -> Lines:
    """What the packet's own count of messages says about the walk's end."""
    return [
        "if number < count:",
        f"{INDENT}store_i64(state + STATE.sequence, first{' + number' if by_message else ''})",
        f"{INDENT}if write_gap(state, {_lost(by_message, True)}) != 0:",
        *indent(suspend, 2),
        f"{INDENT}count_reason(counters, {REASONS['BLOCK_OVERRUN']})",
        "elif at < end:",
        f"{INDENT}count_reason(counters, {REASONS['PACKET_TRAILING']})",
    ]
