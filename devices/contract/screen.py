"""What the hub shows on a screen (kind `screen`). Retained, QoS 1.

    down/programme   Programme   all that the player needs, whole, at every change

Nothing here says why somebody is out, where, or with whom; nothing here is about a visitor.
"""

from typing import Literal

from pydantic import AwareDatetime, Field

from devices.contract.channels import Channel
from devices.contract.opening import MAX_OTHER_DAYS, OpeningDay, OtherDay
from devices.contract.payload import Id, Language, Payload, Translated

KIND = "screen"


class BoardRow(Payload):
    name: str
    unit: str
    is_in: bool


class Notice(Payload):
    id: Id
    severity: Literal["info", "warning", "danger"] = "info"
    title: Translated
    text: Translated
    since: AwareDatetime | None = Field(default=None, description="the player shows it from then on by itself")
    until: AwareDatetime | None = Field(default=None, description="the player drops it then by itself, also offline")


class Programme(Payload):
    revision: str = Field(description="changes when, and only when, the content does")
    is_on: bool = Field(default=True, description="false: the screen is dark until the next programme")
    site_name: str
    time_zone: str
    languages: list[Language] = Field(min_length=1, description="shown in turn")
    hours: list[OpeningDay] = Field(default_factory=list)
    other_days: list[OtherDay] = Field(
        default_factory=list, max_length=MAX_OTHER_DAYS, description="in order, from the day it was made on"
    )
    board: list[BoardRow] = Field(default_factory=list)
    notices: list[Notice] = Field(default_factory=list)
    made_at: AwareDatetime


CHANNELS = (
    Channel(
        "down", "programme", Programme, "all that the player needs, whole, at every change", retained=True, kind=KIND
    ),
)
