"""Messages to people, as other plugins give and follow them."""

from dataclasses import dataclass
from typing import Literal

from hub.plugin.hooks import question
from plugins.directory.contract import Person

Answer = Literal["coming", "five_minutes", "ask_desk"]


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


@question(within_seconds=5)
async def deliver(message: Message) -> bool:
    """Take responsibility for telling a person something: True once it is durable in an outbox.

    False: no channel reaches this person. Raising: try again later.
    """
    raise NotImplementedError


@question(within_seconds=0.05)
async def can_reach(person: Person) -> Literal[True] | None:
    """True if there is a channel to this person, else None. From memory: a visitor waits for the answer."""
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
