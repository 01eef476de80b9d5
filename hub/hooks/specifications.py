"""The hub's questions. Every plugin that knows an answer gives one; nobody needs to know who.

All hooks are coroutines. Each implementation runs alone, with the time limit that `@question` names; one that
raises or is late is left out of the answers and counted against its plugin. docs/plugins.md describes each hook,
and a test keeps that page complete.
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
    """Raise it in a hook when you cannot know yet, as before the first reading of a source. It is no failure."""


F = TypeVar("F", bound=Callable[..., Any])

DECLARED: dict[str, Callable[..., Any]] = {}
"""All hooks by name: those of this module, and those of plugins' contracts that have been imported."""


def question(*, within_seconds: float = 5.0) -> Callable[[F], F]:
    """Mark a hook specification and say how long an answer may take.

    Raises ValueError for a name that a hook of another module has.
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
    """What another system on the broker, such as a Home Assistant, sees of one of our devices.

    `components`: key → Home Assistant's configuration without topics, `{"platform": "switch", "name": "Lamp"}`.
    `state`: key → value; None is unknown. `orders`: the keys that take orders, and the roles that may give them.
    Nothing about a person belongs here.
    """

    device: str
    components: dict[str, dict[str, Any]]
    state: dict[str, str | int | float | None]
    orders: dict[str, frozenset[Role]] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """How a plugin is: `problem` is a sentence for IT, in English; None when all is well.

    The names of figures are messages: `{N_("messages waiting"): 3}`.
    """

    problem: str | None = None
    figures: dict[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldData:
    """One kind of personal data that a plugin holds: what, how many, and how long after which event.

    `what` and `kept_for` are messages; `values` are filled into `kept_for`:
    `HeldData(N_("visitors"), 3, N_("%(hours)s hours after they left"), values={"hours": 24})`.
    """

    what: str
    count: int
    kept_for: str
    oldest: datetime | None = None
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Login:
    """Somebody whose password has been checked."""

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
    """An answer to a search on the console: where it leads, and which roles may see it (none: all)."""

    title: str
    path: str
    note: str = ""
    roles: frozenset[Role] = frozenset()


@question(within_seconds=2)
async def find(text: str, limit: int) -> list[Finding]:
    """What this plugin has about `text`, the best first, at most `limit`: for the search on the console."""
    raise NotImplementedError


@question(within_seconds=5)
async def opening_changed() -> None:
    """The site or a service is open on other days or hours than before, or a new day has begun.

    Whoever shows that asks `context.calendar`.
    """
    raise NotImplementedError


@question(within_seconds=10)
async def authenticate(name: str, password: str) -> Login | None:
    """Check a password that the hub itself does not know (a directory's); None when it is not yours or not right."""
    raise NotImplementedError


@question(within_seconds=10)
async def login_now(name: str) -> Login | None:
    """What somebody who logged in by `authenticate` may now: no roles when nothing; None: not yours, or not known."""
    raise NotImplementedError


@question(within_seconds=5)
async def enrolled(enrolment: Enrolment) -> Enrolment | None:
    """A device has got its account: add what your kind of device needs besides, such as keys; None otherwise."""
    raise NotImplementedError


@question(within_seconds=5)
async def devices_changed() -> None:
    """Another program, such as the command line, has enrolled or removed devices: read again what you keep of them.

    `project` is asked right afterwards.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def mirrored() -> list[MirroredDevice]:
    """What other systems on the broker see of your devices, besides whether they are there. Asked where IT wants it."""
    raise NotImplementedError


@question(within_seconds=15)
async def order_mirrored(device: str, key: str, order: str, actor: str) -> bool | None:
    """Another system orders something of your device (`lamp`, `ON`); its role is checked. True: done; None: not yours.

    Write into the audit log what you would have written had a person asked.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def may_order(entity: str, verb: str, roles: frozenset[Role]) -> bool | None:
    """May somebody with these roles give this entity that order? None: not this plugin's affair.

    Asked for people on the console and in the API, before the order of any found device's entity; one False refuses.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def health() -> Health:
    """How the plugin is, for the console and `/readyz`."""
    raise NotImplementedError


@question(within_seconds=5)
async def held_data() -> list[HeldData]:
    """Which personal data the plugin holds, and until when."""
    raise NotImplementedError


@question(within_seconds=2)
async def pages() -> list[MenuEntry]:
    """The plugin's pages in the console's menu. Titles are English; the plugin's catalogue translates them."""
    raise NotImplementedError


@question(within_seconds=10)
async def project() -> None:
    """Publish all your retained topics anew from the store: the hub has just started or the broker came back."""
    raise NotImplementedError
