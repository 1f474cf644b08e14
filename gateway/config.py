"""Loads the configuration: one TOML file, overridden by GATEWAY__SECTION__KEY, overridden by the command's own options.

    configuration = load("gateway.toml", {"port.name": "tap:gw0"})
    configuration.risk.quantity_max

Hard rule: what is wrong is one line that names key, range and mend (ConfigurationError); nothing is guessed.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from gateway.control_sections import Budget, PostTrade, SecondFactor
from gateway.errors import ConfigurationError
from gateway.kill_sections import Kill
from gateway.link_sections import Link
from gateway.order_sections import Orders, Reconciliation
from gateway.record_sections import Journal, Log, Records
from gateway.risk_sections import External, Hours, Portfolio, Risk, Strategy
from gateway.sections import (
    ExceptionPath,
    Feed,
    Instance,
    Placement,
    Port,
    Privileges,
    Quality,
    Section,
    Session,
    Watch,
)

PREFIX = "GATEWAY__"


class Configuration(BaseSettings):
    """The resolved configuration; immutable. Every section is documented where it is defined: gateway/*sections.py."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    instance: Instance = Instance()
    port: Port = Port()
    exception: ExceptionPath = ExceptionPath()
    privileges: Privileges = Privileges()
    placement: Placement = Placement()
    feed: Feed = Feed()
    orders: Orders = Orders()
    reconciliation: Reconciliation = Reconciliation()
    session: Session = Session()
    strategy: Strategy = Strategy()
    external: External = External()
    risk: Risk = Risk()
    portfolio: Portfolio = Portfolio()
    hours: Hours = Hours()
    quality: Quality = Quality()
    watch: Watch = Watch()
    kill: Kill = Kill()
    journal: Journal = Journal()
    post_trade: PostTrade = PostTrade()
    budget: Budget = Budget()
    second_factor: SecondFactor = SecondFactor()
    records: Records = Records()
    link: Link = Link()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command's options first, then the environment, then the file."""
        return init_settings, env_settings, FileSource(settings_cls)

    @property
    def shared_folder(self) -> Path:
        """The instance's folder of shared memory."""
        return Path(self.instance.folder) / f"gateway-{self.instance.name}"

    @property
    def state_folder(self) -> Path:
        """The folder of what outlives the process."""
        if self.instance.state:
            return Path(self.instance.state).expanduser()
        parent = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(parent).expanduser() / "gateway" / self.instance.name

    @property
    def link_state_folder(self) -> Path:
        """The same, of the process link."""
        return Path(self.link.state).expanduser() if self.link.state else self.state_folder

    @property
    def journal_folder(self) -> Path:
        """The folder of the journal."""
        return Path(self.journal.folder).expanduser() if self.journal.folder else self.state_folder

    def contradictions(self) -> list[str]:
        """What single keys cannot show: names that stand for nothing, one line each."""
        known = self.risk.instruments
        named = [("risk.own", symbol) for symbol in self.risk.own]
        named += [("portfolio.groups", symbol) for symbol in self.portfolio.weights()]
        named += [("portfolio.currencies", symbol) for symbol in self.portfolio.currencies]
        named += [("portfolio.positions", symbol) for symbol in self.portfolio.positions]
        for section in ("strategy", "external"):
            named += [(f"{section}.instruments", symbol) for symbol in getattr(self, section).instruments if symbol != "*"]
        unknown = [(key, symbol) for key, symbol in named if known != ["*"] and symbol not in known]
        lines = [f"{key}: unknown instrument {symbol}; write it into risk.instruments" for key, symbol in unknown]
        if self.external.enabled and self.external.name == self.strategy.name:
            lines.append(f"strategy.name and external.name are both {self.strategy.name!r}; give each its own")
        return lines

    def require_limits(self) -> None:
        """Refuses a configuration whose required limits are not all written (ConfigurationError)."""
        unset = [f"risk.{key}" for key in self.risk.unset()]
        unset += [f"strategy.{key}" for key in self.strategy.unset() if self.strategy.file]
        unset += [f"external.{key}" for key in self.external.unset() if self.external.enabled]
        if unset:
            names = ", ".join(unset)
            raise ConfigurationError(
                f"no strategy starts while a required limit is unset: write {names} "
                "(docs/operating/configuration.md has every range, docs/operating/example.toml an example)"
            )


class FileSource(PydanticBaseSettingsSource):
    """The tables of the TOML file, read before by `load`."""

    tables: Mapping[str, Any] = {}  # pydantic makes the source itself, so `load` hands the tables over here

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """One section of the file."""
        return self.tables.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every section of the file."""
        return dict(self.tables)


def load(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """The resolved configuration.

    path       TOML file, or None for defaults and environment only
    overrides  {"section.key": value}; stronger than file and environment; None values are left out
    Raises ConfigurationError, one line that names the key, its range and the mend.
    """
    tables = read_tables(path) if path is not None else {}
    _refuse_unknown_variables()
    options: dict[str, dict[str, Any]] = {}
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        if value is not None:
            options.setdefault(section, {})[key] = value
    where = str(path) if path is not None else "the defaults"
    FileSource.tables = tables
    try:
        configuration = Configuration(**options)  # type: ignore[arg-type]
        if lines := configuration.contradictions():
            raise ConfigurationError("\n".join(f"{where}: {line}" for line in lines))
        return configuration
    except ValidationError as problem:
        raise ConfigurationError(explain(problem, where)) from None
    except SettingsError as problem:
        raise ConfigurationError(f'environment: {problem}; write lists as ["A", "B"]') from None
    finally:
        FileSource.tables = {}


def read_tables(path: str | Path) -> dict[str, Any]:
    """The parsed TOML file. Raises ConfigurationError for a file that is absent, unreadable or no TOML."""
    try:
        return tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such file; start from docs/operating/example.toml or from: gateway show-config"
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem})") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: no valid TOML: {problem}") from None


def sections() -> dict[str, type[Section]]:
    """Section name → its model, in the order of the file."""
    return {name: field.annotation for name, field in Configuration.model_fields.items()}  # type: ignore[misc]


def range_text(field: Any) -> str:
    """The range of a key in words, for example `1 … 999999`."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "range" in extra:
        return str(extra["range"])
    words = [part for part in get_args(field.annotation) if isinstance(part, str)]
    if words:
        return ", ".join(words)
    bounds = {key: getattr(item, key) for item in field.metadata for key in ("ge", "le") if hasattr(item, key)}
    if bounds:
        return f"{bounds['ge']} … {bounds['le']}"
    return {bool: "true, false", str: "text", list[str]: "list of text"}.get(field.annotation, "table of numbers")


def explain(problem: ValidationError, where: str) -> str:
    """One line for the first thing that is wrong, and how many more there are."""
    errors = problem.errors(include_url=False)
    first = errors[0]
    location = [str(part) for part in first["loc"]]
    line = _explain_unknown(location) if first["type"] == "extra_forbidden" else _explain_value(location, first)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {line}{more}"


def _explain_unknown(location: list[str]) -> str:
    known = list(sections())
    dotted = ".".join(location)
    if len(location) > 1:
        known = list(sections()[location[0]].model_fields)
    return f"unknown key {dotted}; {_suggest(location[-1], known)}"


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are: {', '.join(known)}"


def _explain_value(location: list[str], error: ErrorDetails) -> str:
    dotted = ".".join(location[:2])
    value = error["input"]
    if len(location) == 1 and error["type"] == "value_error":
        return f"[{dotted}]: {error['msg'].removeprefix('Value error, ')}"
    if len(location) == 1:
        return f"{dotted} = {value!r} is no table; write [{dotted}] and its keys below"
    field = sections()[location[0]].model_fields[location[1]]
    reason = error["msg"].removeprefix("Value error, ") if error["type"] == "value_error" else ""
    variable = f"{PREFIX}{location[0]}__{location[1]}".upper()
    text = f"{dotted} = {value!r} is out of range: {range_text(field)}"
    if reason:
        text = f"{dotted} = {value!r}: {reason}"
    return f"{text} (environment: {variable})" if os.environ.get(variable) is not None else text


def _refuse_unknown_variables() -> None:
    """Environment names with our prefix whose section or key does not exist; pydantic would pass over the first."""
    known = sections()
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX):
            continue
        section, _, key = variable.upper().removeprefix(PREFIX).lower().partition("__")
        if section not in known:
            raise ConfigurationError(f"environment: unknown section in {variable}; {_suggest(section, list(known))}")
        fields = list(known[section].model_fields)
        if key.partition("__")[0] not in fields:
            raise ConfigurationError(f"environment: unknown key in {variable}; {_suggest(key, fields)}")
