"""Broker accounts for other systems: a gateway such as Zigbee2MQTT, an ESPHome device, a Home Assistant.

Each may write and read its topic filters, outside the hub's own branch, and may be allowed to announce devices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from paho.mqtt.client import topic_matches_sub
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select

from devices.contract.payload import Id
from hub.broker.accounts import BrokerAccount
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import gateway as gateway_table

_ID = TypeAdapter(Id)
MAX_FILTERS = 50
MAX_CHARACTERS = 200
DISCOVERY = "homeassistant/#"
BIRTH = "homeassistant/status"


class FilterError(ValueError):
    """A topic filter is invalid, or reaches topics that a gateway may not use; the text says which and why."""


@dataclass(frozen=True)
class Gateway:
    name: str
    secret_hash: str = field(repr=False)
    filters: tuple[str, ...]
    announces: bool
    made_at: datetime

    @property
    def account(self) -> BrokerAccount:
        announcing = (DISCOVERY,) if self.announces else ()
        listening = (BIRTH,) if self.announces else ()
        return BrokerAccount(
            self.name,
            self.secret_hash,
            tuple(dict.fromkeys((*self.filters, *announcing))),
            tuple(dict.fromkeys((*self.filters, *listening))),
        )


class Gateways:
    """A cache of the gateways in the store; `hub.devices.admission` updates the broker."""

    def __init__(self, store: Store, root: str) -> None:
        self._store = store
        self._root = root
        self._known: dict[str, Gateway] = {}
        self._folded: dict[str, list[str]] = {}
        """Name → filters, normalised by `_folded`."""

    async def load(self) -> None:
        self._known = {gateway.name: gateway for gateway in await self._store.read(_all)}
        self._folded = {gateway.name: [_folded(each) for each in gateway.filters] for gateway in self._known.values()}

    def __iter__(self) -> Iterator[Gateway]:
        return iter(sorted(self._known.values(), key=lambda gateway: gateway.name))

    def get(self, name: str) -> Gateway | None:
        return self._known.get(name)

    def announcers(self) -> frozenset[str]:
        """The accounts that may announce."""
        return frozenset(gateway.name for gateway in self._known.values() if gateway.announces)

    def reaching(self, topic: str) -> tuple[frozenset[str], frozenset[str]]:
        """The accounts that may write this topic: announcing ones by exact match, and all by normalised match.

        Normalised, since a bridged broker or a device may ignore case or doubled slashes.
        """
        if not self._known:
            return frozenset(), frozenset()
        folded = _folded(topic)
        announcing = {
            gateway.name for gateway in self._known.values() if gateway.announces and _matches(gateway.filters, topic)
        }
        every = {name for name, filters in self._folded.items() if _matches(filters, folded)}
        return frozenset(announcing), frozenset(every)

    def validated(
        self, name: str, filters: Sequence[str], secret_hash: str, *, announces: bool, may_order: bool = False
    ) -> Gateway:
        """A validated gateway, not stored yet. Raises FilterError, or pydantic.ValidationError for the name."""
        _ID.validate_python(name)
        if not filters or len(filters) > MAX_FILTERS:
            raise FilterError(f"an account needs one topic filter at least, and {MAX_FILTERS} at most")
        for topic_filter in filters:
            check_filter(topic_filter, self._root, may_order=may_order)
        return Gateway(name, secret_hash, tuple(dict.fromkeys(filters)), announces, now())


def _matches(filters: Sequence[str], topic: str) -> bool:
    return any(topic_matches_sub(topic_filter, topic) for topic_filter in filters)  # type: ignore[no-untyped-call,unused-ignore]


def _folded(topic: str) -> str:
    return "/".join(level for level in topic.casefold().split("/") if level.strip()).removeprefix("$share/")


def check_filter(topic_filter: str, root: str, *, may_order: bool = False) -> None:
    """Raises FilterError if it is no valid filter (MQTT 5, § 4.7), or matches topics of the hub or the broker."""
    levels = topic_filter.split("/")
    if not topic_filter or len(topic_filter) > MAX_CHARACTERS:
        raise FilterError(f"a topic filter has 1 to {MAX_CHARACTERS} characters")
    if not topic_filter.isprintable() or topic_filter != topic_filter.strip():
        raise FilterError(f"{topic_filter!r}: no control characters, and no spaces at either end")
    if any("+" in level and level != "+" for level in levels):
        raise FilterError(f"{topic_filter}: + stands for a whole level, as in zigbee2mqtt/+/set")
    if any("#" in level and (level != "#" or at != len(levels) - 1) for at, level in enumerate(levels)):
        raise FilterError(f"{topic_filter}: # stands alone and last, as in zigbee2mqtt/#")
    if topic_filter.startswith("$"):
        raise FilterError(f"{topic_filter}: topics that begin with $ are the broker's own")
    if levels[0] in ("#", "+"):
        raise FilterError(f"{topic_filter}: this would reach into {root}/#, the hub's own; begin with a name")
    if levels[0] == f"{root}-shown" and not may_order:
        raise FilterError(
            f"{topic_filter}: who reaches {root}-shown/# may give orders to our devices; "
            "such an account is made on the server: kommunevert account add"
        )
    if levels[0] == root:
        raise FilterError(f"{topic_filter}: {root}/# is the hub's own; devices there have accounts of their own")


def put(connection: Connection, gateway: Gateway, actor: str) -> None:
    connection.execute(delete(gateway_table).where(gateway_table.c.name == gateway.name))
    row = {
        "name": gateway.name,
        "secret_hash": gateway.secret_hash,
        "filters": list(gateway.filters),
        "announces": gateway.announces,
        "made_at": gateway.made_at,
    }
    connection.execute(insert(gateway_table), row)
    details = {"filters": list(gateway.filters), "announces": gateway.announces}
    audit.record(connection, actor, "gateway.added", gateway.name, details)


def remove(connection: Connection, name: str, actor: str) -> None:
    connection.execute(delete(gateway_table).where(gateway_table.c.name == name))
    audit.record(connection, actor, "gateway.removed", name)


def _all(connection: Connection) -> list[Gateway]:
    rows = connection.execute(select(gateway_table))
    return [Gateway(row.name, row.secret_hash, tuple(row.filters), row.announces, row.made_at) for row in rows]
