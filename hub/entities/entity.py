"""The models: a found device, its entities, their availability, and a change of state."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hub.entities.configs import Common, Maker, Origin, Source
from hub.entities.templating.templates import Payload, template
from hub.entities.templating.words import TemplateError, TooSlowError

Value = str | float | None
"""A state of the component (`locked`, `on`), a number, or a text; None if unknown."""

MOMENTARY: Final = frozenset({"device_automation", "event", "tag"})
"""Components that report momentary events; the others have a state."""


@dataclass(slots=True, eq=False)
class FoundDevice:
    """A device that one or more announcements assign their entities to."""

    id: str
    name: str
    maker: Maker | None = None
    origin: Origin | None = None
    entities: dict[str, "Entity"] = field(default_factory=dict)

    @property
    def available(self) -> bool | None:
        """None if it does not report availability."""
        reported = [
            entity.availability.is_online for entity in self.entities.values() if entity.availability is not None
        ]
        return any(reported) if reported else None

    @property
    def last_seen_at(self) -> float | None:
        """Unix time; None if nothing was received since the hub started."""
        times = [entity.last_seen_at for entity in self.entities.values() if entity.last_seen_at is not None]
        return max(times, default=None)


class Entity:
    """One thing that a device reports or does. `value` is the last reported; `state` is None while it is offline."""

    __slots__ = (
        "__weakref__",
        "assumed",
        "attributes",
        "availability",
        "changed_at",
        "component",
        "config",
        "device",
        "id",
        "last_seen_at",
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
        """The announcement's topic, and the component's key in it ("" in the single-component form)."""
        self.config = config
        self.device = device
        self.value: Value = None
        self.attributes: dict[str, Any] = {}
        self.changed_at: float | None = None
        self.last_seen_at: float | None = None
        self.assumed = False
        """`value` is the state we ordered; the device does not report its own."""
        self.availability: Availability | None = None
        self.problem: str | None = None
        """Why the last message could not be read; without its content."""
        self.number = 0
        """Identifies the entity in the history; 0 until it is known."""

    def __repr__(self) -> str:
        return f"<{self.id} {self.value!r}>"

    @property
    def name(self) -> str:
        """Its own name, else its device class, else the device's name."""
        return self.config.name or (self.config.device_class or "").replace("_", " ").capitalize() or self.device.name

    @property
    def available(self) -> bool:
        return self.availability is None or self.availability.is_online

    @property
    def state(self) -> Value:
        return self.value if self.available else None

    @property
    def unit(self) -> str:
        return getattr(self.config, "unit_of_measurement", None) or ""

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the last message; None if there was none."""
        return None if self.last_seen_at is None else time.time() - self.last_seen_at


class Availability:
    """Whether a device is online, by its availability topics: all, any, or the latest of them.

    Entities with the same topics share one. Before the first message it is offline.
    """

    __slots__ = ("_latest", "_mode", "_muted", "_reported", "entities", "sources")

    def __init__(self, config: Common) -> None:
        self.sources: list[Source] = config.sources
        self.entities: list[Entity] = []
        self._mode = config.availability_mode
        self._reported: list[bool | None] = [None] * len(self.sources)
        self._latest: bool | None = None
        self._muted: set[int] = set()

    @property
    def is_online(self) -> bool:
        if self._mode == "all":
            return all(self._reported)
        if self._mode == "any":
            return any(self._reported)
        return bool(self._latest)

    def update(self, number: int, payload: Payload) -> bool:
        """Process a message from source `number`. True if `is_online` has changed."""
        if number in self._muted:
            return False
        source, before = self.sources[number], self.is_online
        try:
            text = template(source.value_template).read(payload) if source.value_template else payload.text
        except TooSlowError:
            self._muted.add(number)
            return False
        except (TemplateError, ValueError):
            return False
        if text not in (source.payload_available, source.payload_not_available):
            return False
        self._reported[number] = self._latest = text == source.payload_available
        return self.is_online != before


def key_of(config: Common) -> tuple[object, ...] | None:
    """Equal for configurations that share their availability; None if they have none."""
    if config.availability is None and config.availability_topic is None:
        return None
    return (
        config.availability_mode,
        *(
            (source.topic, source.payload_available, source.payload_not_available, source.value_template)
            for source in config.sources
        ),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """`value` is the new state, or the momentary event (a button press). `at` is Unix time."""

    entity: Entity
    value: Value
    at: float


Changes = Iterable[Change]
