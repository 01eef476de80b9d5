"""The nouns: a device that was found, its entities, whether it is there, and what has become of one."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hub.entities.configs import Common, Maker, Origin, Source
from hub.entities.templating.templates import Payload, template
from hub.entities.templating.words import TemplateError, TooSlowError

Value = str | float | None
"""A word of the component (`locked`, `on`), a number, a text; None: unknown."""

MOMENTARY: Final = frozenset({"device_automation", "event", "tag"})
"""What these say happens and is over; the others have a state."""


@dataclass(slots=True, eq=False)
class FoundDevice:
    """A thing that one or more announcements say their entities belong to."""

    id: str
    name: str
    maker: Maker | None = None
    origin: Origin | None = None
    entities: dict[str, "Entity"] = field(default_factory=dict)

    @property
    def available(self) -> bool | None:
        """None: it has no way to say so."""
        known = [entity.availability.is_there for entity in self.entities.values() if entity.availability is not None]
        return any(known) if known else None

    @property
    def heard_at(self) -> float | None:
        """Unix time; None: nothing since the hub has started."""
        times = [entity.heard_at for entity in self.entities.values() if entity.heard_at is not None]
        return max(times, default=None)


class Entity:
    """One thing that a device can say or do. `value` is the last it said; `state` is None too while it is away."""

    __slots__ = (
        "__weakref__",
        "assumed",
        "attributes",
        "availability",
        "changed_at",
        "component",
        "config",
        "device",
        "heard_at",
        "id",
        "number",
        "place",
        "problem",
        "value",
    )

    def __init__(
        self, entity_id: str, component: str, place: tuple[str, str], config: Common, device: FoundDevice
    ) -> None:
        self.id = entity_id
        self.component = component
        self.place = place
        """The announcement's topic and, of an announcement of a whole device, the component's key in it."""
        self.config = config
        self.device = device
        self.value: Value = None
        self.attributes: dict[str, Any] = {}
        self.changed_at: float | None = None
        self.heard_at: float | None = None
        self.assumed = False
        """`value` is what we asked for, and nothing confirms it."""
        self.availability: Availability | None = None
        self.problem: str | None = None
        """Why the last message could not be read; without its content."""
        self.number = 0
        """Stands for the id in the history."""

    def __repr__(self) -> str:
        return f"<{self.id} {self.value!r}>"

    @property
    def name(self) -> str:
        """Its own name; without one it is what the device is there for."""
        return self.config.name or (self.config.device_class or "").replace("_", " ").capitalize() or self.device.name

    @property
    def available(self) -> bool:
        return self.availability is None or self.availability.is_there

    @property
    def state(self) -> Value:
        return self.value if self.available else None

    @property
    def unit(self) -> str:
        return getattr(self.config, "unit_of_measurement", None) or ""

    @property
    def age_seconds(self) -> float | None:
        """Since it was last heard."""
        return None if self.heard_at is None else time.time() - self.heard_at


class Availability:
    """Whether a device is there, by the topics that it names for it: all, any, or the latest of them.

    Entities of it that name the same topics share one. Nothing heard yet: it is not there.
    """

    __slots__ = ("_heard", "_latest", "_mode", "_muted", "entities", "sources")

    def __init__(self, config: Common) -> None:
        self.sources: list[Source] = config.sources
        self.entities: list[Entity] = []
        self._mode = config.availability_mode
        self._heard: list[bool | None] = [None] * len(self.sources)
        self._latest: bool | None = None
        self._muted: set[int] = set()

    @property
    def is_there(self) -> bool:
        if self._mode == "all":
            return all(self._heard)
        if self._mode == "any":
            return any(self._heard)
        return bool(self._latest)

    def take(self, number: int, payload: Payload) -> bool:
        """What source `number` says; True when it changes whether the device is there."""
        if number in self._muted:
            return False
        source, before = self.sources[number], self.is_there
        try:
            text = template(source.value_template).read(payload) if source.value_template else payload.text
        except TooSlowError:
            self._muted.add(number)
            return False
        except (TemplateError, ValueError):
            return False
        if text not in (source.payload_available, source.payload_not_available):
            return False
        self._heard[number] = self._latest = text == source.payload_available
        return self.is_there != before


def key_of(config: Common) -> tuple[object, ...] | None:
    """Equal for configurations whose availability is one; None: no topic says."""
    if config.availability is None and config.availability_topic is None:
        return None
    return (
        config.availability_mode,
        *((one.topic, one.payload_available, one.payload_not_available, one.value_template) for one in config.sources),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """`value` is the entity's state after it, or what happened (a button's press). `at` is Unix time."""

    entity: Entity
    value: Value
    at: float


Changes = Iterable[Change]
