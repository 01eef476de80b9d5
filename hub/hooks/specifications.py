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
Answer = Literal["coming", "five_minutes", "ask_desk"]


class NotYetError(Exception):
    """Raise it in a hook when you cannot know yet, as before the first reading of a source. It is no failure."""


F = TypeVar("F", bound=Callable[..., Any])


def question(*, within_seconds: float = 5.0) -> Callable[[F], F]:
    """Mark a hook specification and say how long an answer may take."""

    def marked(function: F) -> F:
        function.within_seconds = within_seconds  # type: ignore[attr-defined]
        return hookspec(function)

    return marked


@dataclass(frozen=True)
class Person:
    """An employee, as other plugins may know them."""

    id: str
    name: str
    unit: str
    title: str = ""
    mail: str | None = None
    phone: str | None = None
    tasks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Of the directory, by their own names."""


@dataclass(frozen=True)
class Presence:
    """In or out, and never why."""

    person: Person
    is_in: bool


@dataclass(frozen=True)
class Present:
    """Somebody who is in the building, for the evacuation list."""

    name: str
    belongs_to: str
    since: datetime
    note: str = ""
    late_since: datetime | None = None
    """When they registered, where that came so late that they may have gone: somebody has to look."""


@dataclass(frozen=True)
class Message:
    """What a person is told. The same id twice is one message.

    `answers` are offered as a signed, single-use link; the one chosen comes back in `message_answered`.
    """

    id: str
    to: Person
    subject: str
    body: str
    language: str
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class MessageState:
    """What has become of what a message is about; `is_over`: there is nothing to answer any more.

    `answer`: the person who waits has it on a screen, not yet, or will not: the desk has it.
    """

    is_over: bool
    answer: Literal["shown", "not_shown", "desk"] | None = None


@dataclass(frozen=True)
class Shown:
    """What another system on the broker, such as a Home Assistant, sees of one of our devices.

    `components`: key → Home Assistant's configuration without topics, `{"platform": "lock", "name": "Door"}`. `state`:
    key → value; None is unknown. `orders`: the keys that can be told something, and the roles that may.
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
class Page:
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


@dataclass(frozen=True)
class Slide:
    """Something for the screens, for everybody to read: never about a visitor, never why somebody is out.

    Title and text by language; `until` takes it down by itself.
    """

    id: str
    title: dict[str, str]
    text: dict[str, str] = field(default_factory=dict)
    until: datetime | None = None


@question(within_seconds=2)
async def find(text: str, limit: int) -> list[Finding]:
    """What this plugin has about `text`, the best first, at most `limit`: for the search on the console."""
    raise NotImplementedError


@question(within_seconds=2)
async def slides() -> list[Slide]:
    """What this plugin wants to have on the screens now."""
    raise NotImplementedError


@question(within_seconds=5)
async def slides_changed() -> None:
    """Somebody has other slides than before: whoever shows them asks `slides`."""
    raise NotImplementedError


@question(within_seconds=2)
async def find_hosts(text: str, limit: int, device: str) -> list[Person]:
    """Who can be visited today and has a name that begins with `text` (three letters or more). At most `limit`.

    `device` is where somebody searches.

    People of protected units, and people who take no visits, are never among the answers.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def host(person_id: str) -> Person | None:
    """The person with this id if they can be visited; None otherwise, also for people of protected units."""
    raise NotImplementedError


@question(within_seconds=5)
async def employees() -> list[Person]:
    """Everybody who works here, for rules about them: never for a public page, and not for visitors to choose from.

    Raise NotYetError before you know; an answer is believed whole.
    """
    raise NotImplementedError


@question(within_seconds=5)
async def employees_changed() -> None:
    """Somebody has begun, left, or changed unit: whoever keeps rules about people asks `employees`."""
    raise NotImplementedError


@question(within_seconds=2)
async def presences() -> list[Presence]:
    """Who stands on the public board, in or out."""
    raise NotImplementedError


@question(within_seconds=5)
async def opening_changed() -> None:
    """The site or a service is open on other days or hours than before, or a new day has begun.

    Whoever shows that asks `context.calendar`.
    """
    raise NotImplementedError


@question(within_seconds=5)
async def presence_changed() -> None:
    """Somebody on the board has come or gone, or the board has other people: whoever shows it asks `presences`."""
    raise NotImplementedError


@question(within_seconds=5)
async def present() -> list[Present]:
    """Who is in the building by what this plugin knows; the evacuation list is made of all answers."""
    raise NotImplementedError


@question(within_seconds=5)
async def deliver(message: Message) -> bool:
    """Take responsibility for telling a person something: True once it is durable in an outbox.

    False: no channel reaches this person. Raising: try again later.
    """
    raise NotImplementedError


@question(within_seconds=0.05)
async def can_reach(person: Person) -> bool:
    """Whether a message to this person would have a channel to go by. Know it: a visitor waits for the answer."""
    raise NotImplementedError


@question(within_seconds=5)
async def message_delivered(message_id: str, sent: bool) -> None:
    """A channel has taken the message (`sent`), or could not so far and tries again. May be called more than once."""
    raise NotImplementedError


@question(within_seconds=5)
async def message_answered(message_id: str, answer: Answer) -> None:
    """The person has chosen an answer to the message with this id. May be called twice for one choice."""
    raise NotImplementedError


@question(within_seconds=1)
async def message_state(message_id: str) -> MessageState | None:
    """How it stands with what a message of yours is about; None when the message is not yours."""
    raise NotImplementedError


@question(within_seconds=5)
async def forget_messages(message_ids: list[str]) -> None:
    """The time is over for which what these messages say may be kept: hold nothing of them."""
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
    """A device has got its account: add what your kind of device needs besides (a door: keys); None otherwise."""
    raise NotImplementedError


@question(within_seconds=5)
async def devices_changed() -> None:
    """Another program, such as the command line, has enrolled or removed devices: read again what you keep of them.

    `project` is asked right afterwards.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def shown() -> list[Shown]:
    """What other systems on the broker see of your devices, besides whether they are there. Asked where IT wants it."""
    raise NotImplementedError


@question(within_seconds=15)
async def told(device: str, key: str, order: str, actor: str) -> bool | None:
    """Another system tells your device something (`lock`, `UNLOCK`); its role is checked. True: done; None: not yours.

    Write into the audit log what you would have written had a person asked.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def may_tell(entity: str, verb: str, roles: frozenset[Role]) -> bool | None:
    """May somebody with these roles tell this entity that? None: not this plugin's affair.

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
async def pages() -> list[Page]:
    """The plugin's pages in the console's menu. Titles are English; the plugin's catalogue translates them."""
    raise NotImplementedError


@question(within_seconds=10)
async def project() -> None:
    """Publish all your retained topics anew from the store: the hub has just started or the broker came back."""
    raise NotImplementedError
