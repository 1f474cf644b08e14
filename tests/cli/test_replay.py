"""`gateway replay` and `gateway book`: what is wrong is one line with the mend, and nothing stays behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.errors import GatewayError
from gateway.instance import Instance
from gateway.port import open_port
from tests.corridor_bench import IMBALANCE, Feed, pcap_of

CONFIGURATION = """
[feed]
line_a = "239.192.1.1:31001"
[risk]
quantity_max = 1000
value_max = 1_000_000
position_max = 100_000
collar_ppm = 100_000
stale_ms = 1000
rate_per_second = 1000
rate_burst = 1000
day_messages_max = 1_000_000
capital = 1_000_000_000
gross_max = 1_000_000_000
net_max = 1_000_000_000
instruments = ["*"]
[strategy]
instruments = ["*"]
"""
RAISES = """
def on_event(state, event, book, orders):
    if event.kind == 1:
        raise ValueError
"""


def shared() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("gateway-*replay*")}


def one_line(capsys: pytest.CaptureFixture[str], code: int, *words: object) -> str:
    """The one line that a failing command prints; its exit code is `code` and it leaves nothing in shared memory."""
    assert main([str(word) for word in words]) == code
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if not line.startswith("compiling kernels")]
    assert printed.out == "" and len(lines) == 1, printed
    assert not shared()
    return lines[0]


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.packet(*feed.listing())
    feed.packet(feed.add(1, "B", 900, 1_000_000), feed.add(2, "S", 100, 1_000_100))
    return feed


@pytest.fixture
def capture(feed: Feed, tmp_path: Path) -> Path:
    return feed.write(tmp_path / "feed.pcap")


@pytest.mark.parametrize("verb", ["replay", "book"])
def test_a_missing_file_is_named(verb, tmp_path, capsys):
    line = one_line(capsys, 5, verb, tmp_path / "no.pcap", "--feed", "itch50")
    assert "no.pcap" in line and "No such file" in line


@pytest.mark.parametrize("verb", ["replay", "book"])
@pytest.mark.parametrize(("name", "content"), [("empty.pcap", b""), ("text.pcap", b"not a capture"), ("folder.pcap", None)])
def test_what_is_no_capture_is_refused(verb, name, content, tmp_path, capsys):
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    assert name in one_line(capsys, 5, verb, path, "--feed", "itch50")


def test_an_empty_binaryfile_and_a_text_are_refused_or_counted_never_believed(tmp_path, capsys):
    empty, text = tmp_path / "empty.itch", tmp_path / "text.itch"
    empty.write_bytes(b"")
    text.write_text("this is a letter, not a recording\n" * 50)
    assert "empty.itch" in one_line(capsys, 5, "replay", empty, "--feed", "itch50")
    code = main(["replay", str(text), "--feed", "itch50", "--json"])
    printed = capsys.readouterr()
    if code == 0:
        result = json.loads(printed.out)
        assert result["messages"] == 0 and result["capture_errors"] + result["oversized"] + result["truncated"] > 0
    else:
        assert "text.itch" in printed.err


@pytest.mark.parametrize("cut", [1, 20, 60, 100])
def test_a_torn_capture_gives_what_is_whole_and_counts_the_tear(cut, feed, tmp_path, capsys):
    path = tmp_path / "torn.pcap"
    path.write_bytes(pcap_of(feed.frames)[:-cut])
    assert main(["replay", str(path), "--feed", "itch50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 1 and result["messages"] == 2 and result["capture_errors"] == 1


def test_a_capture_torn_in_its_first_header_is_refused(feed, tmp_path, capsys):
    path = tmp_path / "torn.pcap"
    path.write_bytes(pcap_of(feed.frames)[:20])
    assert "torn.pcap" in one_line(capsys, 5, "replay", path, "--feed", "itch50")


def test_a_capture_without_frames_has_nothing_to_say(tmp_path, capsys):
    path = tmp_path / "silent.pcap"
    path.write_bytes(pcap_of([]))
    assert main(["replay", str(path), "--feed", "itch50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == result["messages"] == result["books"] == 0


def test_a_strategy_without_limits_does_not_start(capture, capsys):
    line = one_line(capsys, 3, "replay", capture, "--feed", "itch50", "--strategy", IMBALANCE)
    assert "risk.quantity_max" in line and "unset" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def on_event(state, event, book orders):\n    pass\n", "valid Python"),
        ("import no_such_module\n", "must import by itself"),
        ("def on_event(state):\n    pass\n", "write on_event(state, event, book, orders)"),
        ("def on_event(state, event, book, orders):\n    open('x')\n", "numba cannot compile"),
        ("VALUE = 1\n", "define on_event"),
    ],
)
def test_a_strategy_that_cannot_be_is_refused_with_its_line(text, said, capture, tmp_path, capsys):
    strategy, settings = tmp_path / "mine.py", tmp_path / "mine.toml"
    strategy.write_text(text)
    settings.write_text(CONFIGURATION)
    words = ("replay", capture, "--feed", "itch50", "--config", settings, "--strategy", strategy)
    line = one_line(capsys, 3, *words)
    assert "mine.py" in line and said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[risk]\nquantity_maximum = 5\n", "quantity_max"),
        ("[risk]\nquantity_max = 0\n", "out of range"),
        ("[feed]\nline_a = 5\n", "feed.line_a"),
        ("not toml", "no valid TOML"),
    ],
)
def test_a_bad_configuration_names_its_key(text, said, capture, tmp_path, capsys):
    settings = tmp_path / "bad.toml"
    settings.write_text(text)
    line = one_line(capsys, 3, "replay", capture, "--feed", "itch50", "--config", settings)
    assert "bad.toml" in line and said in line


def test_a_strategy_that_raises_is_halted_counted_and_visible(capture, tmp_path, capsys):
    strategy, settings = tmp_path / "raises.py", tmp_path / "mine.toml"
    strategy.write_text(RAISES)
    settings.write_text(CONFIGURATION)
    words = ["replay", str(capture), "--feed", "itch50", "--config", str(settings), "--strategy", str(strategy), "--json"]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["strategy_faults"] == 1 and result["orders"] == 0 and result["messages"] == 4


def test_out_that_is_the_recording_itself_is_refused(capture, capsys):
    before = capture.read_bytes()
    line = one_line(capsys, 5, "replay", capture, "--feed", "itch50", "--out", capture)
    assert "the same file as the input" in line and capture.read_bytes() == before


def test_out_that_cannot_be_written_is_one_line(capture, tmp_path, capsys):
    line = one_line(capsys, 5, "replay", capture, "--feed", "itch50", "--out", tmp_path / "no" / "orders.pcapng")
    assert "orders.pcapng" in line


def test_a_file_name_with_a_comma_is_refused_with_the_mend_and_one_with_a_blank_is_read(feed, tmp_path, capsys):
    path = feed.write(tmp_path / "a day, with a comma.pcap")
    assert "rename" in one_line(capsys, 5, "replay", path, "--feed", "itch50")
    path = path.rename(tmp_path / "a day without.pcap")
    assert main(["replay", str(path), "--feed", "itch50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 4


def test_orders_have_no_way_out_of_a_binaryfile(tmp_path, capsys):
    path = tmp_path / "sample.itch"
    path.write_bytes(b"\0\x0cS" + bytes(11))
    words = ("replay", path, "--feed", "itch50", "--out", tmp_path / "orders.pcapng")
    assert "leave --out away" in one_line(capsys, 5, *words)


@pytest.mark.slow
def test_orders_of_a_replay_stand_in_the_out_file(capture, tmp_path, capsys):
    settings, out = tmp_path / "mine.toml", tmp_path / "orders.pcapng"
    settings.write_text(CONFIGURATION)
    words = ["--config", settings, "--strategy", IMBALANCE, "--out", out, "--json"]
    assert main(["replay", str(capture), "--feed", "itch50", *map(str, words)]) == 0
    result = json.loads(capsys.readouterr().out)
    with open_port(f"pcap:{out}") as port:
        assert len(list(port)) == result["orders"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "x.pcap"],
        ["replay", "x.pcap", "--feed", "morse"],
        ["book", "x.pcap", "--feed", "itch50", "--levels", "0"],
        ["book", "x.pcap", "--feed", "itch50", "--every", "many"],
        ["replay", "x.pcap", "--feed", "itch50", "--what"],
    ],
)
def test_wrong_words_are_one_line_that_names_the_help(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def frames_of(name: str) -> int:
    """The frames that a replay in another process has read so far; 0 as long as there is no such instance."""
    try:
        instance = Instance.attach(name, writable=())
    except GatewayError:
        return 0
    try:
        return int(instance.counters[0]["io"]["frames_received"])
    finally:
        instance.close()


@pytest.mark.slow
def test_ctrl_c_ends_a_replay_and_leaves_nothing(tmp_path):
    feed = Feed()
    feed.packet(*feed.listing())
    frame = feed.packet(feed.add(1, "B", 1, 1_000_000))
    path = tmp_path / "long.pcap"
    path.write_bytes(pcap_of([(time_ns, frame) for time_ns in range(1_000_000)]))
    command = [sys.executable, "-m", "gateway.cli.main", "book", str(path), "--feed", "itch50", "--every", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (frames := frames_of(f"replay-{process.pid}")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert 0 < frames < 1_000_000, "it was on its way"
    assert output == b"", "half a replay prints no books"
    assert not list(Path("/dev/shm").glob(f"gateway-replay-{process.pid}"))
