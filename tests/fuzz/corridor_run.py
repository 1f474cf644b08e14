"""Runs damaged days through the corridor and checks them; a process of its own, so that a crash is seen.

python -m tests.fuzz.corridor_run FOLDER SEED [SEED …]
"""

import sys
from collections import Counter
from pathlib import Path

from gateway.limits import FRAME_BYTES_MAX
from gateway.venues.simulator.flow import frames
from tests.corridor_bench import FRAME_REASONS, configuration, pcap_of, replay
from tests.fuzz.corridor_mutations import Mutator
from tests.naive_corridor import NaiveCorridor

MESSAGES, SYMBOLS, WINDOW_US = 12_000, 6, 2_000
CUTS = (1 << 18, 2100)  # snap lengths of the capture: the second cuts what is oversized
DISTRUST = '''
"""Orders exactly where it must not: the gate has to refuse every one of them."""

from gateway.core.strategy import IOC, buy, trusted


def on_event(state, event, book, orders):
    if not trusted(book):
        buy(orders, book.instrument, 100, book.ask_price, IOC)
'''


def expected(rows: list[tuple[int, bytes]], cut: int) -> NaiveCorridor:
    """The twin after the same frames; frames that io must not let in are counted in its `counts`."""
    twin = NaiveCorridor(window_ns=WINDOW_US * 1000)
    for time_ns, frame in rows:
        if len(frame) > cut:
            twin.counts["drop_truncated"] += 1
        elif len(frame) > FRAME_BYTES_MAX:
            twin.counts["drop_oversized"] += 1
        else:
            twin.frame(frame, time_ns)
    twin.end(rows[-1][0])
    return twin


def account(result: dict) -> None:
    """Every frame is somewhere, exactly once."""
    io, core, reasons = result["io"], result["core"], Counter(result["feed_reasons"])
    dropped = io["drop_truncated"] + io["drop_oversized"] + io["drop_ring_full"]
    assert io["frames_received"] == io["frames_published"] + dropped
    assert core["frames"] == io["frames_published"]
    assert core["frames"] == core["packets"] + sum(reasons[name] for name in FRAME_REASONS)
    assert core["messages"] == sum(result["messages"].values())


def check(seed: int, folder: Path) -> dict[str, int]:
    """One seed; returns what it met."""
    day = list(frames(seed, SYMBOLS, MESSAGES, rate=500_000))
    rows = list(Mutator(seed, share=(0.02, 0.2, 0.6)[seed % 3]).frames(day))
    cut = CUTS[seed % 2]
    path, strategy = folder / f"{seed}.pcap", folder / "distrust.py"
    path.write_bytes(pcap_of(rows, cut))
    strategy.write_text(DISTRUST)
    choice = {
        "feed__any_destination": True,
        "feed__line_b": "239.192.9.9:39999",
        "feed__unsequenced": True,
        "feed__reorder_window_us": WINDOW_US,
    }
    result = replay(path, configuration(strategy, **choice))
    twin = expected(rows, cut)
    account(result)
    assert result["io"]["frames_received"] == len(rows)
    both = result["io"] | result["core"]
    names = set(twin.counts) | {"gaps", "packets", "reordered", "drop_oversized", "drop_truncated"}
    odd = {name: (both[name], twin.counts[name]) for name in names if both[name] != twin.counts[name]}
    assert not odd, f"ours, the twin's: {odd}"
    assert result["feed_reasons"] == twin.all_reasons()
    assert result["messages"] == {kind: count for kind, count in twin.types.items() if count}
    assert result["books"] == twin.all_books()
    assert result["core"]["crossed"] == twin.books.crossed
    assert result["accepted"] == result["core"]["orders_sent"] == result["io"]["orders_transmitted"] == 0
    assert result["decisions"] > 0, "nothing was ever distrusted"
    return {"frames": len(rows), "gaps": result["core"]["gaps"], **result["feed_reasons"]}


def main(words: list[str]) -> int:
    for seed in map(int, words[1:]):
        print(f"seed {seed}", flush=True)
        print(check(seed, Path(words[0])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
