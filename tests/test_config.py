"""Configuration: what loads, what is refused, and that the page of keys says the same as the program."""

import os
from pathlib import Path

import pytest

from gateway.cli.show_config import markdown, toml
from gateway.config import load, range_text, sections
from gateway.errors import EXIT_CONFIGURATION, ConfigurationError
from gateway.sections import endpoint, mac

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "operating" / "example.toml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the caller leaks into a test."""
    for variable in [name for name in os.environ if name.upper().startswith("GATEWAY__")]:
        monkeypatch.delenv(variable)


def refusal(tmp_path: Path, text: str) -> str:
    """The one line that a file is refused with."""
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.exit_code == EXIT_CONFIGURATION
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_the_example_loads_and_has_every_required_limit():
    configuration = load(EXAMPLE)
    configuration.require_limits()
    assert configuration.risk.quantity_max == 1_000
    assert configuration.risk.instruments == ["*"]
    assert configuration.port.name == "pair:example"


def test_defaults_load_without_a_file_and_start_no_strategy():
    configuration = load()
    with pytest.raises(ConfigurationError, match=r"required limit is unset: write risk\.quantity_max, risk\.value_max"):
        configuration.require_limits()


@pytest.mark.parametrize("key", load().risk.unset())
def test_each_required_limit_alone_stops_a_strategy(key: str):
    values = load(EXAMPLE).model_dump()["risk"]
    values.pop(key)
    configuration = load(None, {f"risk.{name}": value for name, value in values.items()})
    with pytest.raises(ConfigurationError, match=rf"write risk\.{key} \("):
        configuration.require_limits()


def test_the_required_limits_are_those_of_the_gate():
    assert load().risk.unset() == [
        "quantity_max",
        "value_max",
        "position_max",
        "collar_ppm",
        "stale_ms",
        "rate_per_second",
        "rate_burst",
        "day_messages_max",
        "capital",
        "gross_max",
        "net_max",
        "instruments",
    ]


def test_a_strategy_needs_its_permissions_and_every_missing_name_is_said():
    values = {f"risk.{key}": value for key, value in load(EXAMPLE).model_dump()["risk"].items()}
    configuration = load(None, {**values, "strategy.file": "x.py", "external.enabled": True})
    with pytest.raises(ConfigurationError, match=r"write strategy\.instruments, external\.instruments \("):
        configuration.require_limits()


def test_names_that_stand_for_nothing_are_a_line_each(tmp_path: Path):
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[risk]\ninstruments = ["AAPL", "MSFT"]\n[risk.own.ZZZZ]\nquantity_max = 5\n[strategy]\n'
        'instruments = ["AAPL", "QQQ"]\n'
        '[portfolio]\ngroups = ["AAPL SPY@-0.5"]\n[external]\nenabled = true\nname = "main"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.exit_code == EXIT_CONFIGURATION
    assert str(caught.value).splitlines() == [
        f"{path}: risk.own: unknown instrument ZZZZ; write it into risk.instruments",
        f"{path}: portfolio.groups: unknown instrument SPY; write it into risk.instruments",
        f"{path}: strategy.instruments: unknown instrument QQQ; write it into risk.instruments",
        f"{path}: strategy.name and external.name are both 'main'; give each its own",
    ]


def test_the_environment_overrides_the_file_and_an_option_overrides_both(monkeypatch: pytest.MonkeyPatch):
    assert load(EXAMPLE).risk.quantity_max == 1_000
    monkeypatch.setenv("GATEWAY__RISK__QUANTITY_MAX", "7")
    monkeypatch.setenv("GATEWAY__RISK__INSTRUMENTS", '["AAPL", "MSFT"]')
    assert load(EXAMPLE).risk.quantity_max == 7
    assert load(EXAMPLE).risk.instruments == ["AAPL", "MSFT"]
    assert load(EXAMPLE).risk.value_max == 250_000
    assert load(EXAMPLE, {"risk.quantity_max": 9}).risk.quantity_max == 9
    assert load(EXAMPLE, {"risk.quantity_max": None}).risk.quantity_max == 7


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[risk]\nquantity_mx = 1", "unknown key risk.quantity_mx; did you mean quantity_max?"),
        ("[rusk]\nquantity_max = 1", "unknown key rusk; did you mean risk?"),
        ("[risk]\nzzz = 1", "unknown key risk.zzz; known are: quantity_max, "),
        ("[risk]\nquantity_max = 0", "risk.quantity_max = 0 is out of range: 1 … 999999"),
        ("[risk]\nquantity_max = 1000000", "risk.quantity_max = 1000000 is out of range: 1 … 999999"),
        ("[risk]\nquantity_max = 1.5", "risk.quantity_max = 1.5 is out of range: 1 … 999999"),
        ("[risk]\nquantity_max = nan", "risk.quantity_max = nan is out of range: 1 … 999999"),
        (
            "[risk]\nquantity_max = -1\nvalue_max = -1",
            "risk.quantity_max = -1 is out of range: 1 … 999999 (and 1 more)",
        ),
        ("risk = 5", "risk = 5 is no table; write [risk] and its keys below"),
        ('[placement]\nidle = "nap"', "placement.idle = 'nap' is out of range: spin, yield, sleep"),
        ("[placement]\nio_cpu = 1\ncore_cpu = 1", "[placement]: io_cpu and core_cpu are both 1; write together = true"),
        ('[port]\nname = "eth0"', "port.name = 'eth0': write KIND:ARGUMENT"),
        ('[feed]\nline_a = "239.1"', "feed.line_a = '239.1': write ADDRESS:PORT"),
        ('[feed]\nline_a = "239.1.1:31001"', "feed.line_a = '239.1.1:31001': '239.1.1' is no IPv4 address"),
        ('[session]\nour_mac = "02:00"', "session.our_mac = '02:00': write six hexadecimal bytes"),
        ('[instance]\nname = "../x"', "instance.name = '../x' is out of range: 1 to 32 of a-z 0-9 _ -"),
        ('[risk]\ninstruments = ["*", "AAPL"]', "risk.instruments = ['*', 'AAPL']: \"*\" stands alone"),
        ('[strategy.parameters]\nspread = "wide"', "strategy.parameters = 'wide' is out of range: table of numbers"),
        ("[strategy.parameters]\nspread = nan", "strategy.parameters = nan is out of range: table of numbers"),
        ("[strategy.parameters]\nspread = inf", "strategy.parameters = inf is out of range: table of numbers"),
        ("[risk]\ncapital = nan", "risk.capital = nan is out of range: 1 … 5000000000"),
        ("[risk]\ngross_max = 5000000001", "risk.gross_max = 5000000001 is out of range: 1 … 5000000000"),
        ("[risk.own.AAPL]\nquantity_max = 0", "risk.own = {'AAPL': {'quantity_max': 0}}: AAPL.quantity_max = 0 is out of"),
        ("[risk.own.AAPL]\ncolor = 1", "risk.own = {'AAPL': {'color': 1}}: AAPL.color is no limit of an instrument"),
        ('[portfolio]\ngroups = ["AAPL"]', "portfolio.groups = ['AAPL']: 'AAPL': a group has 2 symbols at least"),
        ('[portfolio]\ngroups = ["A B@2"]', "portfolio.groups = ['A B@2']: 'B@2' is no SYMBOL or SYMBOL@WEIGHT"),
        ('[portfolio]\ngroups = ["A B", "B C"]', "portfolio.groups = ['A B', 'B C']: B stands twice"),
        ("[portfolio.rates]\nEUR = nan", "portfolio.rates = nan is out of range: 0 … 200 by currency"),
        ("[portfolio.rates]\nEUR = 0", "portfolio.rates = {'EUR': 0}: EUR = 0.0: a rate is above 0 and at most 200"),
        ('[portfolio.currencies]\nSAP = "EUR"', "[portfolio]: currencies.SAP = 'EUR' has no rate; write rates.EUR"),
        ('[hours]\nopen = "09:30"', "[hours]: write open and close, and a day at least, or leave them out"),
        ('[hours]\nzone = "Mars"', "hours.zone = 'Mars': no such time zone; write for example Europe/Paris"),
        ("[strategy]\nrepeat_max = 0", "strategy.repeat_max = 0 is out of range: 1 … 1024"),
        ("[risk", "no valid TOML: "),
    ],
)
def test_a_bad_key_is_one_line_that_names_it_and_the_mend(tmp_path: Path, text: str, line: str):
    assert refusal(tmp_path, text).startswith(line)


def test_a_missing_file_is_one_line_with_the_mend(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="no such file; start from docs/operating/example.toml"):
        load(tmp_path / "absent.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        (
            "GATEWAY__RSK__QUANTITY_MAX",
            "environment: unknown section in GATEWAY__RSK__QUANTITY_MAX; did you mean risk?",
        ),
        ("GATEWAY__RISK__QUANTITY", "environment: unknown key in GATEWAY__RISK__QUANTITY; did you mean quantity_max?"),
        ("GATEWAY__RISK__QUANTITY_MAX", r"risk\.quantity_max = '0' is out of range: 1 … 999999 \(environment: "),
    ],
)
def test_a_bad_variable_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch, variable: str, line: str):
    monkeypatch.setenv(variable, "0")
    with pytest.raises(ConfigurationError, match=line):
        load()


def test_a_list_in_the_environment_needs_brackets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEWAY__RISK__INSTRUMENTS", "AAPL,MSFT")
    with pytest.raises(ConfigurationError, match=r'write lists as \["A", "B"\]'):
        load()


def test_what_show_config_prints_loads_to_the_same(tmp_path: Path):
    for configuration in (load(), load(EXAMPLE, {"strategy.parameters": {"edge": 2, "ratio": 0.25}})):
        path = tmp_path / "printed.toml"
        path.write_text(toml(configuration))
        assert load(path).model_dump() == configuration.model_dump()


def test_the_page_of_keys_is_what_the_program_says():
    page = (ROOT / "docs" / "operating" / "configuration.md").read_text()
    assert page == markdown(), "make it again: gateway show-config --markdown > docs/operating/configuration.md"


def test_every_key_has_a_description_and_a_range():
    for section, model in sections().items():
        for key, field in model.model_fields.items():
            assert field.description, f"{section}.{key}"
            assert range_text(field), f"{section}.{key}"


def test_endpoints_and_hardware_addresses_are_read_exactly():
    assert endpoint("10.77.0.1:41001") == (0x0A4D0001, 41001)
    assert mac("02:00:0a:4D:00:01") == b"\x02\x00\x0a\x4d\x00\x01"
    for text in ("10.77.0.1", "10.77.0.1:0", "10.77.0.1:65536", "10.77.0.256:1", ":1", "10.77.0.1:١"):
        with pytest.raises(ValueError):
            endpoint(text)
