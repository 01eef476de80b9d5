"""What a contract module says about its messages, once: the hub's QoS, the documents and the tests are made of it."""

from dataclasses import dataclass

from devices.contract.payload import MAX_PAYLOAD_BYTES, Payload
from devices.contract.topics import Direction


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of message on `<root>/<site>/<kind>/<device>/<direction>/<what>`."""

    direction: Direction
    what: str
    model: type[Payload]
    summary: str
    qos: int = 1
    retained: bool = False
    expiry_seconds: int | None = None
    """MQTT 5's message expiry; None: the broker keeps it as long as the session lives."""
    carries: type[Payload] | None = None
    """The message whose exact bytes stand in `content`, where `model` is a signed envelope."""
    most_bytes: int = MAX_PAYLOAD_BYTES
    kind: str | None = None
    """None: every kind of device has it."""
