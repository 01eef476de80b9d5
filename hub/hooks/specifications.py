"""The specifications of the kernel's hooks.

All hooks are coroutines. Each implementation runs isolated, with the time limit given to `@question`; one that raises
or times out is left out of the answers and counted as a failure of its plugin. docs/plugins.md describes each hook, and
a test checks that the page is complete.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import pluggy

from devices.contract.enrolment import Enrolment

hookspec = pluggy.HookspecMarker("kommunevert")
hookimpl = pluggy.HookimplMarker("kommunevert")

Role = Literal["front_line", "caretaker", "it"]


class NotYetError(Exception):
    """Raise it in a hook if there is no answer yet, as before a source is first read.

    It does not count as a failure.
    """


F = TypeVar("F", bound=Callable[..., Any])

DECLARED: dict[str, Callable[..., Any]] = {}
"""All hooks by name: those of this module and of imported plugin contracts."""


def question(*, within_seconds: float = 5.0) -> Callable[[F], F]:
    """Mark a hook specification, with the time limit for an answer.

    Raises ValueError if another module declares a hook of this name.
    """

    def marked(function: F) -> F:
        known = DECLARED.get(function.__name__, function)
        if known.__module__ != function.__module__:
            raise ValueError(f"{known.__module__} declares a hook {function.__name__} already")
        function.within_seconds = within_seconds  # type: ignore[attr-defined]
        DECLARED[function.__name__] = function
        return hookspec(function)

    return marked


@dataclass(frozen=True)
class MirroredDevice:
    """One of our devices as another system on the broker, such as a Home Assistant, sees it.

    `components`: key → Home Assistant's configuration without topics, `{"platform": "switch", "name": "Lamp"}`.
    `state`: key → value, None if unknown. `orders`: the keys that take orders, and the roles that may give them.
    It must contain no personal data.
    """

    device: str
    components: dict[str, dict[str, Any]]
    state: dict[str, str | int | float | None]
    orders: dict[str, frozenset[Role]] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """A plugin's health: `problem` is a sentence for IT, in English; None if there is none.

    The keys of `figures` are messages: `{N_("messages waiting"): 3}`.
    """

    problem: str | None = None
    figures: dict[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldData:
    """One kind of personal data that a plugin holds, and its retention.

    `what` and `kept_for` are messages; `values` are the arguments of `kept_for`:
    `HeldData(N_("visitors"), 3, N_("%(hours)s hours after they left"), values={"hours": 24})`.
    """

    what: str
    count: int
    kept_for: str
    oldest: datetime | None = None
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Login:
    """A person whose password was verified."""

    name: str
    roles: frozenset[Role]
    source: str


@dataclass(frozen=True)
class MenuEntry:
    """A link in the console's menu. The title is a message: `N_("Visits")`."""

    path: str
    title: str
    roles: frozenset[Role]
    order: int = 50


@dataclass(frozen=True)
class Finding:
    """A search result on the console: its link, and the roles that may see it (none: all)."""

    title: str
    path: str
    note: str = ""
    roles: frozenset[Role] = frozenset()


@question(within_seconds=2)
async def find(text: str, limit: int) -> list[Finding]:
    """Results for a search on the console, the best first, at most `limit`."""
    raise NotImplementedError


@question(within_seconds=5)
async def opening_changed() -> None:
    """The opening hours of the site or a service have changed, or a new day has begun: read `context.calendar`."""
    raise NotImplementedError


@question(within_seconds=10)
async def authenticate(name: str, password: str) -> Login | None:
    """Verify a password against your source, such as a directory; None if the name is not yours or it is wrong."""
    raise NotImplementedError


@question(within_seconds=10)
async def login_now(name: str) -> Login | None:
    """The present roles of a person who logged in by `authenticate`, empty if none; None if not yours or unknown."""
    raise NotImplementedError


@question(within_seconds=5)
async def enrolled(enrolment: Enrolment) -> Enrolment | None:
    """A device was enrolled: return the enrolment with what your kind of device needs, such as keys; else None."""
    raise NotImplementedError


@question(within_seconds=5)
async def devices_changed() -> None:
    """Another program, such as the command line, has enrolled or removed devices: read again what you store about them.

    `project` is called right afterwards.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def mirrored() -> list[MirroredDevice]:
    """Your devices as other systems on the broker see them. Called if IT has switched announcing on."""
    raise NotImplementedError


@question(within_seconds=15)
async def order_mirrored(device: str, key: str, order: str, actor: str) -> bool | None:
    """Another system sends an order to your device (`lamp`, `ON`); its role was checked. True: done; None: not yours.

    Record in the audit log what you would record for a person.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def may_order(entity: str, verb: str, roles: frozenset[Role]) -> bool | None:
    """Whether a person with these roles may give this order to the entity; None if you have no opinion.

    Called for the console and the API before each order to a found device's entity; a single False refuses it.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def health() -> Health:
    """The plugin's health, for the console and `/readyz`."""
    raise NotImplementedError


@question(within_seconds=5)
async def held_data() -> list[HeldData]:
    """The personal data that the plugin holds, and its retention."""
    raise NotImplementedError


@question(within_seconds=2)
async def pages() -> list[MenuEntry]:
    """The plugin's pages in the console's menu. Titles are English; the plugin's catalogue translates them."""
    raise NotImplementedError


@question(within_seconds=10)
async def project() -> None:
    """Publish all your retained topics from the store: the hub has started or the broker has reconnected."""
    raise NotImplementedError
