"""Which account owns a found device. MQTT does not tell who sent a message; the accounts' topic filters tell who could.

An account that announces may write all announcement topics, also those of other accounts. But the hub sends commands
only to topics that the account may write itself, and does not apply its announcements for devices of other accounts.
"""

from typing import TYPE_CHECKING

from hub.entities.configs import Common, topics_of
from hub.entities.discovery import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY: frozenset[str] = frozenset()
COMMAND_TOPICS = ("command_topic", "set_position_topic")


class Ownership:
    """Set `reaching` and `announcers` (hub.devices.gateways) before the first announcement."""

    def __init__(self) -> None:
        self.reaching: Callable[[str], tuple[frozenset[str], frozenset[str]]] = lambda _topic: (NOBODY, NOBODY)
        """Topic → the accounts that may write it: those that announce, and all."""
        self.announcers: Callable[[], frozenset[str]] = lambda: NOBODY

    def require_common_owner(self, topic: str, key: str, config: Common) -> None:
        """Raises DiscoveryError if no announcing account may write all command topics that any account may write."""
        owners: frozenset[str] | None = None
        where = f"components.{key}." if key else ""
        for name, value in _command_topics(config):
            announcing, all_accounts = self.reaching(value)
            if not all_accounts:
                continue
            owners = announcing if owners is None else owners & announcing
            if not owners:
                raise DiscoveryError(
                    f"{topic}: {where}{name}: expected a topic of an account that announces it; "
                    f"this is of {', '.join(sorted(all_accounts))}"
                )

    def of(self, config: Common) -> frozenset[str]:
        """The announcing accounts whose filters cover its command topics, or its state topics if it has no commands.

        Empty if nobody owns it.
        """
        if not self.announcers():
            return NOBODY
        return self._within([value for _, value in _command_topics(config)]) or self._within(_state_topics(config))

    def has_unowned_commands(self, config: Common) -> bool:
        """Whether no account may write one of its command topics, so that its owner is unknown."""
        return any(not self.reaching(value)[1] for _, value in _command_topics(config))

    def require_same_owner(self, topic: str, before: Common, config: Common) -> None:
        """Raises DiscoveryError if `config` has no owner in common with `before`, which it replaces."""
        owners = self.of(before)
        if owners and not owners & self.of(config):
            raise DiscoveryError(f"{topic}: expected topics of {', '.join(sorted(owners))}, whose device it replaces")

    def require_sole_announcer(self, topic: str, entity_id: str, config: Common) -> None:
        """Raises DiscoveryError if an account that does not own the entity could have announced its removal.

        An entity that nobody owns may be removed by any account.
        """
        owners = self.of(config)
        if owners and (others := self.announcers() - owners):
            raise DiscoveryError(
                f"{topic}: {entity_id} is said to be gone. MQTT does not say by whom, and {', '.join(sorted(others))} "
                "may announce too: it is kept until IT removes it on its page"
            )

    def _within(self, topics: list[str]) -> frozenset[str]:
        sets = [announcing for announcing, all_accounts in map(self.reaching, topics) if all_accounts]
        return frozenset.intersection(*sets) if sets else NOBODY


def _command_topics(config: Common) -> list[tuple[str, str]]:
    """The topics that the hub would publish to."""
    return topics_of(config, COMMAND_TOPICS)


def _state_topics(config: Common) -> list[str]:
    return [value for name, value in topics_of(config) if not name.endswith(COMMAND_TOPICS)] + [
        source.topic for source in config.availability or ()
    ]
