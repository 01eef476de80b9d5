"""What a kiosk and the hub say to each other (kind `kiosk`). CHANNELS has them with QoS and expiry.

What a kiosk asks for again until it comes (found, receipt) comes with QoS 0. Only `offer` is retained.

    up/search      Search      three letters of a host's name
    down/found     Found       at most five people who can be visited
    up/visit       Visit       a visitor registers; sent again until the receipt comes
    up/checkout    CheckOut    a visitor leaves; sent again until the receipt comes
    down/receipt   Receipt     after the durable commit: the event counts
    down/answer    HostAnswer  what the host said; sent again until the kiosk has said what became of it
    up/shown       AnswerShown whether the visitor has it on the screen
    up/ask         Ask         a visitor who left the page asks by their number
    down/told      Told        what their host has said
    down/offer     Offer       what the first page offers: signposts, languages, names, opening hours

A tap on a signpost is no message: it sends, stores and logs nothing (D7).
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from devices.contract.channels import Channel
from devices.contract.opening import MAX_OTHER_DAYS, OpeningDay, OtherDay
from devices.contract.payload import DeviceTime, Id, Language, Name, Payload, Text, Translated

KIND = "kiosk"
MAX_HOSTS = 5
MIN_LETTERS = 3

Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
"""The visit's number, which the visitor keeps to check out with."""


class Search(Payload):
    id: Id
    text: Text


class Host(Payload):
    """A person who can be visited, as far as a visitor may know."""

    id: Id
    name: str
    unit: str


class Found(Payload):
    search: Id
    hosts: list[Host] = Field(max_length=MAX_HOSTS)
    wait_seconds: int = Field(default=0, ge=0, description="above 0: too many searches, ask again after this time")


class Visit(Payload):
    id: Id
    host: Id
    visitor: Name
    company: Name | None = None
    language: Language = "nn"
    arrived_at: DeviceTime = Field(description="when the visitor tapped, by the kiosk's clock")


class CheckOut(Payload):
    id: Id
    number: Number
    left_at: DeviceTime


Refusal = Literal["unknown_host", "unknown_number", "malformed"]


class Receipt(Payload):
    """`of` is the id of the Visit or CheckOut. `refused` is final too: the kiosk sends the visitor to the desk.

    `wait` is not: the kiosk has sent too much, keeps it, and sends it again after `wait_seconds`.
    """

    of: Id
    result: Literal["registered", "checked_out", "refused", "wait"]
    reason: Refusal | None = None
    number: Number | None = None
    host_is_told: bool = Field(default=True, description="false: no channel reaches the host, the desk tells them")
    wait_seconds: int = Field(default=0, ge=0, description="of `wait`: not before")


class HostAnswer(Payload):
    visit: Id
    answer: Literal["coming", "five_minutes", "ask_desk"]


class AnswerShown(Payload):
    """`up/shown`: what became of a HostAnswer, each time that one comes."""

    visit: Id
    is_seen: bool = Field(description="false: nobody waits on this screen any more")


class Ask(Payload):
    """A visitor who has left the page wants to know whether their host has answered."""

    id: Id
    number: Number


class Told(Payload):
    """No name: whoever knows or guesses a number learns nobody's."""

    of: Id
    result: Literal["answered", "no_answer", "unknown_number"]
    answer: Literal["coming", "five_minutes", "ask_desk"] | None = None
    wait_seconds: int = Field(default=0, ge=0, description="above 0: too many numbers, ask again after this time")


class Signpost(Payload):
    """Where a visitor can go without telling anybody."""

    id: Id
    icon: Literal["doctor", "nav", "child", "mind", "desk", "stairs", "library", "toilet", "meeting", "info"] = "info"
    name: Translated
    floor: Translated
    directions: Translated


class Offer(Payload):
    """`down/offer`, retained."""

    site_name: str
    languages: list[Language] = Field(min_length=1)
    signposts: list[Signpost] = Field(default_factory=list, max_length=12)
    registers_visits: bool = True
    waiting_seconds: int = Field(
        default=300, ge=30, description="how long a visitor's page waits for the host's answer"
    )
    time_zone: str = Field(default="", description="the site's, in which hours are; empty: the kiosk's own")
    hours: list[OpeningDay] = Field(default_factory=list, description="none: nobody has said any")
    other_days: list[OtherDay] = Field(
        default_factory=list, max_length=MAX_OTHER_DAYS, description="in order, from the day it was made on"
    )


ANSWER_SECONDS = 7200

CHANNELS = (
    Channel("up", "search", Search, "three letters or more of a host's name", kind=KIND),
    Channel("down", "found", Found, f"at most {MAX_HOSTS} people who can be visited", qos=0, kind=KIND),
    Channel("up", "visit", Visit, "a visitor registers; sent again until the receipt comes", kind=KIND),
    Channel("up", "checkout", CheckOut, "a visitor leaves; sent again until the receipt comes", kind=KIND),
    Channel("down", "receipt", Receipt, "after the durable commit: the event counts", qos=0, kind=KIND),
    Channel("down", "answer", HostAnswer, "what the host said", expiry_seconds=ANSWER_SECONDS, kind=KIND),
    Channel("up", "shown", AnswerShown, "whether the visitor has the host's answer on the screen", kind=KIND),
    Channel("up", "ask", Ask, "a visitor who left the page asks by their number", kind=KIND),
    Channel("down", "told", Told, "what their host has said", qos=0, kind=KIND),
    Channel("down", "offer", Offer, "what the first page offers", retained=True, kind=KIND),
)
