"""The synthetic day: its marginals, its own bookkeeping, and that the corridor follows it without a complaint."""

import numpy as np
import pytest

from gateway.cli import bench
from gateway.cli.main import main
from gateway.layout import value
from gateway.ops.bench.itch_day import batch_bytes_max, make_flow, mix_of, opening_messages, write_batch, write_opening
from gateway.ops.bench.itch_day_file import write_day
from gateway.ops.bench.itch_marginals import marginals
from gateway.ops.bench.itch_reference import LAYOUTS, reference_events
from gateway.ops.bench.itch_stream import make_stream
from gateway.protocols import itch50
from tests.corridor_bench import configuration, replay

SYMBOLS, LIVE, MESSAGES = 60, 3000, 30_000
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")


@pytest.fixture(scope="module")
def measured():
    return marginals(make_stream(250_000, 4711))


def fresh(messages: int, seed: int = 5, fill: int = 0):
    """A small day and the bytes of its first batch, in a buffer that held `fill`."""
    flow = make_flow(seed, SYMBOLS, LIVE)
    data = np.full(batch_bytes_max(messages), fill, np.uint8)
    offsets, sizes = np.zeros(messages, np.int64), np.zeros(messages, np.int64)
    packets = write_batch(flow, messages, data, offsets, sizes)
    return flow, data[: offsets[packets - 1] + sizes[packets - 1]], offsets[:packets], sizes[:packets]


def test_the_mix_is_that_of_a_liquid_day(measured):
    mix = measured["mix_percent"]
    groups = {"AF": 46, "D": 41, "U": 6, "EC": 4, "XPI": 3}
    assert {types: pytest.approx(sum(mix[letter] for letter in types), abs=0.4) for types in groups} == groups
    assert set("".join(groups)) == set(mix)


def test_symbols_follow_the_law_of_zipf(measured):
    assert measured["zipf_exponent"] == pytest.approx(1.0, abs=0.1)
    assert measured["busiest_symbol_percent"] == pytest.approx(7.7, abs=1.0)  # ln 2 / ln 8001


def test_most_orders_die_young_and_some_live_for_the_day(measured):
    life = measured["lifetime_messages_quantiles"]
    assert life["50%"] < 2_000 and life["90%"] > 20 * life["50%"] and life["99%"] > 100_000
    assert measured["orders_outliving_percent"] > 15


def test_packets_come_in_bursts_and_are_the_fuller_for_it(measured):
    assert measured["burst_index"] > 0.3  # 0: Poisson
    assert measured["packets_in_10_ms_variance_over_mean"] > 5  # 1: Poisson
    assert measured["messages_per_packet_mean"] == pytest.approx(12.5, abs=1.5)
    assert measured["messages_per_packet_quantiles"]["99%"] > 3 * measured["messages_per_packet_mean"]


def test_prices_crowd_near_the_touch_and_on_round_ones(measured):
    assert measured["adds_on_five_cents_percent"] > 30  # 20: without round prices
    assert measured["adds_on_busiest_tenth_of_prices_percent"] > 40


def test_the_same_seed_gives_the_same_bytes_whatever_the_buffer_held_and_whoever_runs_beside():
    _, clean, *_ = fresh(2000)
    one, other = make_flow(5, SYMBOLS, LIVE), make_flow(6, SYMBOLS, LIVE)
    data = np.full(batch_bytes_max(2000), 255, np.uint8)
    offsets, sizes = np.zeros(2000, np.int64), np.zeros(2000, np.int64)
    write_batch(other, 500, data, offsets, sizes)
    write_batch(one, 2000, data, offsets, sizes)
    assert (data[: len(clean)] == clean).all()
    assert not np.array_equal(fresh(2000, seed=6)[1], clean)


def test_every_message_of_the_opening_is_what_the_codec_reads():
    flow = make_flow(1, SYMBOLS, LIVE)
    room = opening_messages(flow)
    data = np.full(batch_bytes_max(room), 255, np.uint8)
    offsets, sizes = np.zeros(room, np.int64), np.zeros(room, np.int64)
    packets = write_opening(flow, data, offsets, sizes)
    messages = [itch50.decode(data[offsets[i] + 22 : offsets[i] + sizes[i]].tobytes()) for i in range(packets)]
    assert [message["event_code"] for message in messages if message["message_type"] == "S"] == ["O", "S", "Q"]
    directory = [message for message in messages if message["message_type"] == "R"]
    assert [(row["stock_locate"], row["stock"]) for row in directory] == [(n, f"S{n}") for n in range(1, SYMBOLS + 1)]
    assert all((row["round_lot_size"], row["authenticity"], row["etp_flag"]) == (100, "P", "N") for row in directory)
    assert {row["trading_state"] for row in messages if row["message_type"] == "H"} == {"T"}


def test_the_reference_knows_every_type_of_the_specification_by_its_length():
    assert {letter: layout.itemsize for letter, layout in LAYOUTS.items()} == itch50.LENGTHS


@pytest.mark.parametrize("place", [0, 18, 20, 22])
def test_the_reference_refuses_packets_that_are_not_whole(place):
    _, data, offsets, sizes = fresh(100)
    broken = data.copy()
    broken[place + (1 if place in (18, 20) else 0)] ^= 0x55
    if place == 0:
        sizes = sizes - 1
    with pytest.raises(ValueError, match=r"message|packet"):
        reference_events(broken, offsets, sizes, 0)


def test_the_corridor_follows_a_day_without_a_reason_and_holds_its_levels(tmp_path):
    path = tmp_path / "day.itch"
    flow = write_day(path, MESSAGES, 9, SYMBOLS, LIVE)
    result = replay(path, configuration(feed__any_destination=True, feed__unsequenced=True))
    assert result["feed_reasons"] == {} and result["core"]["gaps"] == 0
    assert result["messages"] == mix_of(flow)
    assert sum(mix_of(flow).values()) == MESSAGES + opening_messages(flow)
    for symbol, book in result["books"].items():
        assert (book["bids"], book["asks"]) == twin(flow, symbol), symbol
    assert len(result["books"]) == SYMBOLS


def test_the_command_writes_a_day_and_says_what_is_in_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "DAY_MESSAGES", 4000)
    path = tmp_path / "day.itch"
    assert main(["bench", "--quick", "--day", str(path)]) == 0
    assert f"{path}: synthetic, seed {bench.DAY_SEED}, A " in capsys.readouterr().err
    data, at, count = path.read_bytes(), 0, 0
    while at < len(data):
        at, count = at + 2 + int.from_bytes(data[at : at + 2], "big"), count + 1
    assert count == 1000 + 2 * 8000 + 3


def test_a_day_that_cannot_be_written_is_one_line_with_the_mend(tmp_path, capsys):
    assert main(["bench", "--day", str(tmp_path / "no" / "day.itch")]) != 0
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and "name a file that can be written" in told[0]


def twin(flow, symbol):
    """Bids and asks as the day has added them up, best first: (price, shares, orders)."""
    sides = []
    for side, sign in ((BUY, -1), (SELL, 1)):
        places = np.flatnonzero(flow.counts[symbol, side - 1])
        rows = [(p, flow.levels[symbol, side - 1, p], flow.counts[symbol, side - 1, p]) for p in places]
        sides.append([tuple(map(int, (flow.middles[symbol] + sign * p * flow.steps[symbol], s, c))) for p, s, c in rows])
    return tuple(sides)
