"""How every device of ours shows that it is alive.

`up/status` is retained and is also the last will; `up/heartbeat` comes every HEARTBEAT_SECONDS. The hub
believes the heartbeat: a last will alone is no proof of life (research: brokers and radios lie).
"""

from pydantic import AwareDatetime, Field

from devices.contract.channels import Channel
from devices.contract.payload import Id, Payload

HEARTBEAT_SECONDS = 15
DEADLINE_SECONDS = 40
"""Without a heartbeat for this long a device is away."""


class Status(Payload):
    """`up/status`, QoS 1, retained; `online: false` is the last will."""

    online: bool


class Heartbeat(Payload):
    """`up/heartbeat`, QoS 0."""

    sent_at: AwareDatetime
    version: str = Field(max_length=40)
    uptime_seconds: int = Field(ge=0)
    outbox: int = Field(default=0, ge=0, description="events that wait for the hub's receipt")
    problem: str | None = Field(default=None, max_length=200, description="what a caretaker should know, in English")
    battery_percent: int | None = Field(default=None, ge=0, le=100, description="absent: it has none, or cannot tell")
    instance: Id | None = Field(
        default=None, description="of this start of its program, made by chance: two with one account differ in it"
    )
    taken_over: int = Field(
        default=0, ge=0, description="how often another connection with its account has ended its own, since it started"
    )
    signal_dbm: int | None = Field(default=None, ge=-150, le=0, description="of its radio; absent: it is on a cable")


CHANNELS = (
    Channel("up", "status", Status, "here, or gone: also the last will", retained=True),
    Channel("up", "heartbeat", Heartbeat, f"a sign of life every {HEARTBEAT_SECONDS} s", qos=0),
)
"""Every kind of device has them."""
