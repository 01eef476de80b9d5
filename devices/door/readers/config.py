"""The readers of a door as its hardware file says: `readers` in the file of `--pins`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from devices.contract.door import Side
from devices.door.readers.serial_port import Baud

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9æøå][a-z0-9æøå_-]{0,39}$")]
"""It stands in events, in the heartbeat and in the name of a key's file."""
Device = Annotated[str, StringConstraints(pattern=r"^/\S+$")]
Pin = int | str


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    side: Side = Field(default="in", description="in: who is outside shows something; out: who is inside")

    def places(self) -> tuple[str, ...]:
        """What no other reader may have too."""
        return ()

    def pins(self) -> dict[str, Pin]:
        return {}


ByteOrder = Literal["as_read", "turned"]
"""`turned`: it sends a card's own number with its bytes the other way round."""


class OsdpPlan(_Plan):
    kind: Literal["osdp"]
    port: Device = Field(description="/dev/serial/by-id/… stays the same when cables are swapped")
    address: int = Field(default=0, ge=0, le=126)
    baud: Baud = 9600
    byte_order: ByteOrder = "as_read"
    key_file: Path | None = Field(default=None, description="reader-NAME.key in the state directory unless given")

    def places(self) -> tuple[str, ...]:
        return (f"address {self.address} at {self.port}",)


class WiegandPlan(_Plan):
    kind: Literal["wiegand"]
    d0: Pin
    d1: Pin
    byte_order: ByteOrder = "as_read"
    light: Pin | None = Field(default=None, description="the reader's LED wire, green while active")
    beeper: Pin | None = None
    outputs_active_high: bool = Field(default=False, description="false: light and beeper are on at ground")

    def pins(self) -> dict[str, Pin]:
        named = {"d0": self.d0, "d1": self.d1, "light": self.light, "beeper": self.beeper}
        return {name: pin for name, pin in named.items() if pin is not None}


class SerialCodePlan(_Plan):
    kind: Literal["qr_serial"]
    port: Device
    baud: Baud = 9600

    def places(self) -> tuple[str, ...]:
        return (f"the port {self.port}",)


class KeyboardCodePlan(_Plan):
    kind: Literal["qr_keyboard"]
    device: Device = Field(description="/dev/input/by-id/usb-…-event-kbd")

    def places(self) -> tuple[str, ...]:
        return (f"the device {self.device}",)


ReaderPlan = Annotated[
    OsdpPlan | WiegandPlan | SerialCodePlan | KeyboardCodePlan,
    Field(discriminator="kind"),
]


def check_together(plans: tuple[ReaderPlan, ...], pins: dict[str, Pin]) -> None:
    """Raises ValueError when two things want the same; `pins` are those of the door itself, by what they are for."""
    places: dict[str, str] = {}
    wires = list(pins.items())
    for plan in plans:
        for place in (f"the name {plan.name}", *plan.places()):
            if place in places:
                raise ValueError(f"readers {places[place]} and {plan.name} both have {place}: change one of them")
            places[place] = plan.name
        wires += [(f"{use} of reader {plan.name}", pin) for use, pin in plan.pins().items()]
    taken: dict[Pin, str] = {}
    for use, pin in wires:
        if pin in taken:
            raise ValueError(f"pin {pin} is {taken[pin]} and also {use}: change one of them")
        taken[pin] = use
    lines: dict[str, OsdpPlan] = {}
    for plan in plans:
        if isinstance(plan, OsdpPlan):
            if (where := f"the port {plan.port}") in places:
                raise ValueError(f"readers {places[where]} and {plan.name} both have {where}: change one of them")
            other = lines.setdefault(plan.port, plan)
            if other.baud != plan.baud:
                raise ValueError(f"readers {other.name} and {plan.name} share the line {plan.port}: give both one baud")
