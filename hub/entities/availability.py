"""Whether an entity's device is there, by the topics that it names for it: all, any, or the latest of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hub.entities.configs import Common, Source
from hub.entities.template_words import TemplateError, TooSlowError
from hub.entities.templates import Payload, template

if TYPE_CHECKING:
    from hub.entities.entity import Entity


class Availability:
    """Entities of one device that name the same topics share one. Nothing heard yet: it is not there."""

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


Listen = Callable[[Payload, bool], None]
"""What is called with a message of one topic, and whether the broker had kept it."""
