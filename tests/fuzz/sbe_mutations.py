"""Generated SBE readers beside the interpreter over damaged messages that end at a guarded page: a process of its own.

    python -m tests.fuzz.sbe_mutations SEED ROUNDS SECONDS [SCHEMA.xml …]

Messages of the schema with every feature in both byte orders, and of every schema named, are made, damaged and read by
both. A read outside the message ends the process; a difference is printed with what reproduces it, and exit code 1. The
first line on stdout is how many messages were read by both, the second how many of them were refused. Ends after ROUNDS
messages or SECONDS, whichever comes first.
"""

import random
import sys
import time
from pathlib import Path

from gateway.protocols.sbe.model import Schema
from gateway.protocols.sbe.schema import load_schema
from tests.fuzz.guarded import Guarded
from tests.protocols.sbe_kernels import Kernels, same
from tests.protocols.sbe_messages import RandomMessages, everything

ROOM_BYTES = 1 << 16
ENTRIES = 4096
PER_MESSAGE = 40  # rounds on one undamaged message


class Mill:
    """One template: makes messages of it and damages them."""

    def __init__(self, schema: Schema, template: int, randomness: random.Random):
        self.randomness = randomness
        self.versions = schema.version + 3
        self.kernels = Kernels(schema, schema.messages[template], ENTRIES)
        self.source = RandomMessages(schema, randomness)

    def make(self) -> tuple[bytes, int, int]:
        """(body, block length, version) of a sound message."""
        version = self.randomness.randrange(self.versions)
        body, length = self.source.body(self.kernels.message, version, self.randomness.choice([0, 0, 0, 1, 8]))
        return body[:ROOM_BYTES], length, version

    def damage(self, body: bytes, length: int, version: int) -> tuple[bytes, int, int]:
        """The same with bits turned, counts overwritten, bytes cut off, or block length or version changed."""
        choose = self.randomness
        data = bytearray(body)
        for _ in range(choose.choice([0, 1, 1, 1, 2, 5])):
            if not data:
                break
            at = choose.randrange(len(data))
            if choose.random() < 0.5:
                data[at] ^= 1 << choose.randrange(8)
            else:
                word = choose.choice([b"\0", b"\1", b"\xff", b"\xff\xff", b"\2\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"])
                data[at : at + len(word)] = word[: len(data) - at]
        if choose.random() < 0.25:
            del data[choose.randrange(len(data) + 1) :]
        if choose.random() < 0.1:
            length = choose.choice([0, length - 1, length + 1, length + 7, 65535, choose.randrange(256)])
        if choose.random() < 0.1:
            version = choose.randrange(self.versions)
        return bytes(data), max(length, 0), version


def agree(mill: Mill, guarded: Guarded, body: bytes, length: int, version: int) -> tuple[bool, bool]:
    """(reader and interpreter agree, the message was refused)."""
    one = mill.kernels
    expected = one.by_interpreter(body, length, version)
    found = one.by_reader(body, guarded.put(body), length, version)
    if found == ("refused", "events_full"):  # empty entries inside others: more than there are rows, not more than bytes
        return len(body) * max(len(one.groups), 1) > ENTRIES, True
    return same(found, expected), expected[0] == "refused"


def run(seed: int, rounds: int, seconds: float, files: list[str]) -> int:
    """Exit code."""
    randomness = random.Random(seed)
    schemas = [everything(False), everything(True), *(load_schema(Path(file)) for file in files)]
    mills = [Mill(schema, template, randomness) for schema in schemas for template in sorted(schema.messages)]
    guarded = Guarded(ROOM_BYTES)
    ends = time.monotonic() + seconds
    done = refused = 0
    while done < rounds and time.monotonic() < ends:
        mill = randomness.choice(mills)
        sound = mill.make()
        for _ in range(PER_MESSAGE):
            body, length, version = mill.damage(*sound)
            right, was_refused = agree(mill, guarded, body, length, version)
            if not right:
                print(f"{mill.kernels.message.name} version {version} block {length}: {body.hex()}, seed {seed}")
                print(mill.kernels.by_interpreter(body, length, version))
                print(mill.kernels.by_reader(body, guarded.put(body), length, version))
                return 1
            done, refused = done + 1, refused + was_refused
    print(done)
    print(refused)
    return 0


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
