"""The configuration file: read, checked as a whole, and explained by file, line and key when it is wrong.

YAML 1.2 by ruamel.yaml, which keeps line numbers and in which `no` is Norwegian, not false.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from devices.contract.messages import Id, Language
from hub.calendar.settings import CalendarSettings


class ConfigurationError(Exception):
    """The configuration is wrong. The text has a line for each mistake: file, line, key, what was expected."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = list(mistakes)


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base", Path.cwd())
    return Path(base, path.expanduser()).resolve()


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone; Europe/Oslo is one")
    return name


ConfigPath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path; a relative one starts at the folder of the configuration file."""

Port = Annotated[int, Field(ge=1, le=65_535)]


class Section(BaseModel):
    """A part of the configuration. Unknown keys are mistakes, so that a misspelt one is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


class SiteSettings(Section):
    id: Id = "raadhus"
    name: str = Field(default="Rådhuset", max_length=80)
    languages: tuple[Language, ...] = Field(default=("nn", "nb", "en"), min_length=1)
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Europe/Oslo"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class CertificateSettings(Section):
    certificate: ConfigPath
    key: ConfigPath

    @model_validator(mode="after")
    def _readable(self) -> "CertificateSettings":
        for path in (self.certificate, self.key):
            if not path.is_file():
                raise ValueError(f"there is no file {path}; `kommunevert tls init` makes a certificate")
        return self


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = Field(
        default=None, description="how people reach the hub: links in messages start with it"
    )
    tls: CertificateSettings | None = None
    connections: int = Field(default=4096, ge=8, description="open at once; above it the oldest without login give way")
    connections_per_address: int = Field(default=256, ge=4, description="the same from one address, without login")
    api_requests_per_minute: int = Field(default=1200, ge=1, description="of the HTTP API, for each account or token")

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::") else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class OwnBroker(Section):
    kind: Literal["own"] = "own"
    bind: str = Field(default="127.0.0.1", description="where controllers reach it; 0.0.0.0 for all interfaces")
    port: Port = 1883
    websocket_port: Port = 9001
    tls: CertificateSettings | None = None
    program: str = "mosquitto"


class ExternalBroker(Section):
    kind: Literal["external"]
    host: str
    port: Port = 1883
    account: str = "hub"
    secret_file: ConfigPath
    ca_file: ConfigPath | None = Field(default=None, description="TLS with this CA; none: no TLS")
    accounts: Literal["files", "dynamic_security"] = "files"
    accounts_dir: ConfigPath | None = Field(
        default=None, description="where `kommunevert broker accounts` writes the password and ACL files"
    )


class StoreSettings(Section):
    url: str | None = Field(
        default=None,
        pattern=r"^(sqlite|postgresql\+psycopg)://",
        description="none: SQLite in the data folder",
    )


class DiscoverySettings(Section):
    """Home Assistant's MQTT discovery format, in both directions."""

    prefix: Id = Field(default="homeassistant", description="the first part of the topics that devices announce by")
    announce: bool = Field(default=False, description="show our own devices to a Home Assistant on the same broker")
    orders_as: tuple[Literal["front_line", "caretaker", "it"], ...] = Field(
        default=(), description="the roles that orders from there have; none: no orders are taken"
    )


class HistorySettings(Section):
    days: int = Field(default=14, ge=0, le=3650, description="how long the states of found devices are kept; 0: not")


class HubSettings(Section):
    """Everything but the plugins' own sections, which their own models check."""

    site: SiteSettings = SiteSettings()
    data: ConfigPath = Field(default=Path("data"), validate_default=True)
    root: Id = Field(default="kommunevert", description="the first part of every topic")
    web: WebSettings = WebSettings()
    broker: OwnBroker | ExternalBroker = Field(default=OwnBroker(), discriminator="kind")
    store: StoreSettings = StoreSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    history: HistorySettings = HistorySettings()
    calendar: CalendarSettings = CalendarSettings()
    plugin_directory: ConfigPath | None = None
    plugins: dict[Id, Any] = Field(default_factory=dict, description="a section for each; `false` switches it off")

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{self.data / 'kommunevert.db'}"


class Configuration:
    """One configuration file and where in it everything stands."""

    def __init__(self, text: str, name: str, base: Path) -> None:
        """Raises ConfigurationError. `base` is the folder that relative paths start at."""
        self.name = name
        self._context = {"base": base}
        try:
            self._tree: Any = YAML(typ="rt").load(StringIO(text)) or {}
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark else ""
            raise ConfigurationError([f"{name}{line}: this is not YAML: {error.problem}"]) from None
        if not isinstance(self._tree, Mapping):
            raise ConfigurationError([f"{name}:1: expected sections such as `site:`, found {self._tree!r}"])
        if self._tree.get("broker") is not None and isinstance(self._tree["broker"], dict):
            self._tree["broker"].setdefault("kind", "own")
        self.hub = self.checked(HubSettings, self._tree, ())

    @classmethod
    def read(cls, path: Path) -> "Configuration":
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError([f"{path}: {error.strerror or error}"]) from None
        except UnicodeDecodeError:
            raise ConfigurationError([f"{path}: expected UTF-8 text"]) from None
        return cls(text, str(path), path.resolve().parent)

    def plugin_section(self, name: str) -> Any:
        """What stands under `plugins: NAME:`; None when nothing does, False when it is switched off."""
        return self.hub.plugins.get(name)

    def plugin_settings(self, name: str, model: type[S]) -> S:
        """The plugin's own section, checked by the plugin's own model. Raises ConfigurationError."""
        section = self.plugin_section(name)
        return self.checked(model, {} if section in (None, True, False) else section, ("plugins", name))

    def checked(self, model: type[S], value: object, where: tuple[str | int, ...]) -> S:
        try:
            return model.model_validate(value, context=self._context)
        except ValidationError as error:
            raise ConfigurationError([self._mistake(where, dict(item), model) for item in error.errors()]) from None

    def validated(self, model: type[S], value: object) -> S:
        """As `checked`, for what does not stand in the file. Raises pydantic.ValidationError."""
        return model.model_validate(value, context=self._context)

    def mistake(self, where: tuple[str | int, ...], text: str) -> str:
        return f"{self.name}:{self._line(where)}: {'.'.join(map(str, where))}: {text}"

    def _mistake(self, where: tuple[str | int, ...], item: dict[str, Any], model: type[BaseModel]) -> str:
        location = self._written(where + tuple(item["loc"]))
        if item["type"] == "union_tag_invalid":
            kind = item["ctx"]["discriminator"].strip("'")
            return self.mistake(
                (*location, kind), f"expected {item['ctx']['expected_tags']}, found {item['ctx']['tag']!r}"
            )
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, item["loc"][:-1])
            near = difflib.get_close_matches(str(location[-1]), known, 1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; known here: {', '.join(sorted(known))}"
            return self.mistake(location, f"there is no such setting{hint}")
        found = "" if item["type"] == "missing" else f", found {_shown(item['input'])}"
        return self.mistake(location, f"{item['msg'].removeprefix('Value error, ')}{found}")

    def _written(self, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Without the names of union members that pydantic puts between (`source.ldap.url`): nobody wrote them."""
        node, written = self._tree, []
        for number, part in enumerate(location):
            is_last = number == len(location) - 1
            if isinstance(node, Mapping) and part not in node and not is_last:
                continue
            written.append(part)
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                node = None
        return tuple(written)

    def _line(self, where: tuple[str | int, ...]) -> int:
        """The line of the deepest part of `where` that stands in the file."""
        node = self._tree
        line = 1
        for part in where:
            try:
                position = node.lc.key(part) if isinstance(part, str) else node.lc.item(part)
                line = position[0] + 1
                node = node[part]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return line


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that stand anywhere in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def read_section(path: Path, model: type[S]) -> S:
    """A small file of its own that is one section. Raises OSError or pydantic.ValidationError."""
    return model.model_validate(YAML(typ="safe").load(path), context={"base": path.parent})


def _shown(value: object) -> str:
    text = repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        inner = getattr(field, "annotation", None)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return set(model.model_fields)
