"""Whose a found device is. The broker does not say who has sent a message; its accounts' filters say who can have.

An account that announces may write all announcements, another's too. But it may have the hub write only where it may
write itself, and what it says of another's device is not believed.
"""

from typing import TYPE_CHECKING

from hub.entities.configs import Common, topics_of
from hub.entities.discovery import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY: frozenset[str] = frozenset()
WRITTEN = ("command_topic", "set_position_topic")


class Ownership:
    """Set `reaching` and `announcers` (hub.devices.gateways) before the first announcement."""

    def __init__(self) -> None:
        self.reaching: Callable[[str], tuple[frozenset[str], frozenset[str]]] = lambda _topic: (NOBODY, NOBODY)
        """Which accounts may write a topic: of those that announce, and of all."""
        self.announcers: Callable[[], frozenset[str]] = lambda: NOBODY

    def must_be_one(self, topic: str, key: str, config: Common) -> None:
        """Raises DiscoveryError when no account that announces may write all commands that some account may write."""
        owners: frozenset[str] | None = None
        where = f"components.{key}." if key else ""
        for name, value in _commands(config):
            announcing, every = self.reaching(value)
            if not every:
                continue
            owners = announcing if owners is None else owners & announcing
            if not owners:
                raise DiscoveryError(
                    f"{topic}: {where}{name}: expected a topic of an account that announces it; "
                    f"this is of {', '.join(sorted(every))}"
                )

    def of(self, config: Common) -> frozenset[str]:
        """The announcing accounts within whose filters its commands go, or what it says if it takes none.

        Empty where they are nobody's.
        """
        if not self.announcers():
            return NOBODY
        return self._within([value for _, value in _commands(config)]) or self._within(_read(config))

    def commands_of_nobody(self, config: Common) -> bool:
        """Whether it takes commands by a topic that no account may write: nobody can tell whose it is."""
        return any(not self.reaching(value)[1] for _, value in _commands(config))

    def must_replace(self, topic: str, before: Common, config: Common) -> None:
        """Raises DiscoveryError when the new one is not of an account whose the old one is."""
        mine = self.of(before)
        if mine and not mine & self.of(config):
            raise DiscoveryError(f"{topic}: expected topics of {', '.join(sorted(mine))}, whose device it replaces")

    def must_withdraw(self, topic: str, entity_id: str, config: Common) -> None:
        """Raises DiscoveryError when others than whose it is can have said that it is gone.

        What is nobody's, anybody may take away.
        """
        mine = self.of(config)
        if mine and (others := self.announcers() - mine):
            raise DiscoveryError(
                f"{topic}: {entity_id} is said to be gone. MQTT does not say by whom, and {', '.join(sorted(others))} "
                "may announce too: it is kept until IT removes it on its page"
            )

    def _within(self, topics: list[str]) -> frozenset[str]:
        sets = [announcing for announcing, every in map(self.reaching, topics) if every]
        return frozenset.intersection(*sets) if sets else NOBODY


def _commands(config: Common) -> list[tuple[str, str]]:
    """What the hub would write to."""
    return topics_of(config, WRITTEN)


def _read(config: Common) -> list[str]:
    return [value for name, value in topics_of(config) if not name.endswith(WRITTEN)] + [
        one.topic for one in config.availability or ()
    ]
