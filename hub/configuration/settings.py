"""The configuration file: read and validated as a whole, with errors by file, line and key.

YAML 1.2 by ruamel.yaml, which has line numbers, and where `no` is Norwegian, not false.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from hub.configuration.explaining import explained
from hub.configuration.opening_hours import CalendarSettings
from hub.configuration.shipped import shipped
from hub.language.mistakes import MistakeError
from hub.language.translation import N_
from hub.outside.addresses import Outside

POSTGRESQL = "postgresql+psycopg://kommunevert@/kommunevert"


class ConfigurationError(Exception):
    """The configuration is wrong. The text has a line for each mistake: file, line, key, what was expected."""

    def __init__(self, mistakes: Sequence[str], places: Sequence[tuple[str | int, ...]] = ()) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = list(mistakes)
        self.places = list(places)
        """Their locations in the file, as far as known."""


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base", Path.cwd())
    return Path(base, path.expanduser()).resolve()


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise MistakeError(N_("is no time zone; %(example)s is one"), example="Europe/Oslo")
    return name


def _language(code: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}", code):
        raise MistakeError(N_("is no language code such as %(example)s"), example="nn")
    return code


def _name_in_topics(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise MistakeError(N_("may have only the signs A-Z, a-z, 0-9, _ and -, and at most 64 of them"))
    return name


def _public_url(address: str) -> str:
    try:
        parts = urlsplit(address)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.query or parts.fragment or re.search(r"\s", address):
        raise MistakeError(
            N_("is no address that a link can start with, so links in mails would be dead; %(example)s is one"),
            example="https://kommunevert.example",
        )
    return address


def _store_url(url: str) -> str:
    if not re.match(r"(sqlite|postgresql\+psycopg)://", url):
        raise MistakeError(N_("is no database that is known here; %(example)s is one"), example=POSTGRESQL)
    return url


def _time_of_day(value: object) -> object:
    """Pydantic alone would parse 6 as six seconds past midnight."""
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", value):
        raise MistakeError(
            N_("is no time of day; write it with hours and minutes, such as %(example)s"), example="06:00"
        )
    return time.fromisoformat(value)


ConfigPath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path, relative to the configuration file's folder."""

IS_READ = "is read"
ConfigFile = Annotated[ConfigPath, IS_READ]
"""The path of a file that must exist; `kommunevert check` verifies that."""

TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
"""Such as 06:00, by the site's clock."""

LanguageCode = Annotated[str, AfterValidator(_language)]
TopicName = Annotated[str, AfterValidator(_name_in_topics)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Section(BaseModel):
    """A part of the configuration. Unknown keys are errors, so that misspellings are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


class SiteSettings(Section):
    id: TopicName = "raadhus"
    name: str = Field(default="Rådhuset", max_length=80)
    languages: tuple[LanguageCode, ...] = Field(default=("nn", "nb", "en"), min_length=1)
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Europe/Oslo"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class CertificateSettings(Section):
    certificate: ConfigFile
    key: ConfigFile

    @model_validator(mode="after")
    def _readable(self) -> "CertificateSettings":
        for path in (self.certificate, self.key):
            if not path.is_file():
                raise MistakeError(
                    N_("there is no file %(path)s; %(command)s makes a certificate"),
                    path=path,
                    command="`kommunevert tls init`",
                )
        return self


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        default=None, description="how people reach the hub: links in messages start with it"
    )
    tls: CertificateSettings | None = None
    connections: int = Field(default=4096, ge=8, description="open at once; above it the oldest without login give way")
    connections_per_address: int = Field(default=256, ge=4, description="the same from one address, without login")
    api_requests_per_minute: int = Field(default=1200, ge=1, description="of the HTTP API, for each account or token")

    @property
    def address(self) -> str:
        """The hub's URL, without a trailing slash."""
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
    secret_file: ConfigFile
    ca_file: ConfigFile | None = Field(default=None, description="TLS with this CA; none: no TLS")
    accounts: Literal["files", "dynamic_security"] = "files"
    accounts_dir: ConfigPath | None = Field(
        default=None, description="where `kommunevert broker accounts` writes the password and ACL files"
    )


class StoreSettings(Section):
    url: Annotated[str, AfterValidator(_store_url)] | None = Field(
        default=None, description="none: SQLite in the data folder"
    )


class DiscoverySettings(Section):
    """Home Assistant's MQTT discovery format, in both directions."""

    prefix: TopicName = Field(
        default="homeassistant", description="the first part of the topics that devices announce by"
    )
    announce: bool = Field(default=False, description="show our own devices to a Home Assistant on the same broker")
    orders_as: tuple[Literal["front_line", "caretaker", "it"], ...] = Field(
        default=(), description="the roles that orders from there have; none: no orders are taken"
    )


class HistorySettings(Section):
    days: int = Field(default=14, ge=0, le=3650, description="how long the states of found devices are kept; 0: not")


def _outside(allowed: tuple[str, ...]) -> tuple[str, ...]:
    Outside(allowed)
    return allowed


class OutsideSettings(Section):
    allowed: Annotated[tuple[str, ...], AfterValidator(_outside)] = Field(
        default=(), description="private networks and hosts that settings such as webhooks may have the hub call"
    )


class HubSettings(Section):
    """Everything except the plugins' sections, which their own models validate."""

    site: SiteSettings = SiteSettings()
    data: ConfigPath = Field(default=Path("data"), validate_default=True)
    root: TopicName = Field(default="kommunevert", description="the first part of every topic")
    web: WebSettings = WebSettings()
    broker: OwnBroker | ExternalBroker = Field(default=OwnBroker(), discriminator="kind")
    store: StoreSettings = StoreSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    history: HistorySettings = HistorySettings()
    calendar: CalendarSettings = CalendarSettings()
    outside: OutsideSettings = OutsideSettings()
    plugin_directory: ConfigPath | None = None
    plugins: dict[TopicName, Any] = Field(
        default_factory=dict, description="a section for each; `false` switches it off"
    )

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{self.data / 'kommunevert.db'}"


class Configuration:
    """A configuration file, with the lines of its settings."""

    def __init__(self, text: str, name: str, base: Path) -> None:
        """Raises ConfigurationError. `base` is the folder that relative paths start at."""
        self.name = name
        self._text = text
        self._context = {"base": base}
        try:
            self._tree: Any = YAML(typ="rt").load(StringIO(text))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark else ""
            raise ConfigurationError([f"{name}{line}: this is not YAML: {error.problem}"]) from None
        if self._tree is None:
            example = shipped("kommunevert.example.yaml")
            raise ConfigurationError([f"{name}: the file is empty; {example} is an example with every setting"])
        if not isinstance(self._tree, Mapping):
            raise ConfigurationError([f"{name}:1: expected sections such as `site:`, found {self._tree!r}"])
        if self._tree.get("broker") is not None and isinstance(self._tree["broker"], dict):
            self._tree["broker"].setdefault("kind", "own")
        self.hub = self.checked(HubSettings, self._tree, ())
        if errors := list(self._shared_ports()):
            raise ConfigurationError(errors)

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
        """The section `plugins: NAME:`; None if there is none, False if the plugin is switched off."""
        return self.hub.plugins.get(name)

    def plugin_settings(self, name: str, model: type[S]) -> S:
        """The plugin's section, validated by its model. Raises ConfigurationError."""
        section = self.plugin_section(name)
        return self.checked(model, {} if section in (None, True, False) else section, ("plugins", name))

    def checked(self, model: type[S], value: object, where: tuple[str | int, ...]) -> S:
        try:
            return model.model_validate(value, context=self._context)
        except ValidationError as error:
            errors = [(where + at, text) for at, text in explained(model, error.errors())]
            raise ConfigurationError([self.mistake(*one) for one in errors], [place for place, _ in errors]) from None

    def validated(self, model: type[S], value: object) -> S:
        """As `checked`, for values that are not from the file. Raises pydantic.ValidationError."""
        return model.model_validate(value, context=self._context)

    def without(self, places: Sequence[tuple[str | int, ...]]) -> "Configuration":
        """A copy without these settings of plugins; a plugin is switched off if the setting is not in its section."""
        other = Configuration(self._text, self.name, self._context["base"])
        for _, name, *setting in {place[:3] for place in places}:
            section = other.hub.plugins.get(str(name))
            if setting and isinstance(section, dict) and setting[0] in section:
                del section[setting[0]]
            else:
                other.hub.plugins[str(name)] = False
        return other

    def mistake(self, where: tuple[str | int, ...], text: str) -> str:
        return f"{self.name}:{self._line(where)}: {'.'.join(map(str, where))}: {text}"

    def _shared_ports(self) -> Iterator[str]:
        """Errors for servers of the hub with the same port, naming both lines."""
        ports = [("web.port", self.hub.web.port, "")]
        if isinstance(broker := self.hub.broker, OwnBroker):
            ports += [("broker.port", broker.port, ""), ("broker.websocket_port", broker.websocket_port, "")]
            if broker.tls:
                ports.append(("broker.port", broker.port + 1, " (the one after it, for `broker.tls`)"))
        for (name, port, why), (other, other_port, other_why) in combinations(ports, 2):
            if port == other_port:
                line = self._line(tuple(name.split(".")))
                text = f"{other_port}{other_why} is the port of `{name}`{why} too (line {line}); each must have its own"
                yield self.mistake(tuple(other.split(".")), text)

    def _line(self, where: tuple[str | int, ...]) -> int:
        """The line of the deepest part of `where` that is in the file."""
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
    """All models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def read_section(path: Path, model: type[S]) -> S:
    """Read a file that consists of one section. Raises OSError or pydantic.ValidationError."""
    return model.model_validate(YAML(typ="safe").load(path), context={"base": path.parent})
