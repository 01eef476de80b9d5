"""From the hardware file to readers that can be started."""

from collections import defaultdict
from pathlib import Path
from typing import Any, assert_never

from devices.door.hardware.reader import Reader
from devices.door.readers.config import KeyboardCodePlan, OsdpPlan, ReaderPlan, SerialCodePlan, WiegandPlan
from devices.door.readers.keys import reader_key
from devices.door.readers.osdp import OsdpLine, OsdpReader
from devices.door.readers.qr import keyboard_reader, serial_reader
from devices.door.readers.wiegand import WiegandReader


def key_of(plan: OsdpPlan, state: Path) -> bytes:
    """Made when there is none. Raises HardwareError."""
    return reader_key(plan.key_file or state / f"reader-{plan.name}.key")


def mounted(plans: tuple[ReaderPlan, ...], state: Path, factory: Any = None) -> tuple[Reader, ...]:
    """OSDP readers at one port share its line. Raises HardwareError for a key that must not be used."""
    keys: dict[str, dict[int, bytes]] = defaultdict(dict)
    bauds = {plan.port: plan.baud for plan in plans if isinstance(plan, OsdpPlan)}
    for plan in plans:
        if isinstance(plan, OsdpPlan):
            keys[plan.port][plan.address] = key_of(plan, state)
    lines = {port: OsdpLine(port, bauds[port], keys[port]) for port in keys}
    return tuple(_mounted(plan, lines, factory) for plan in plans)


def _mounted(plan: ReaderPlan, lines: dict[str, OsdpLine], factory: Any) -> Reader:
    match plan:
        case OsdpPlan():
            return OsdpReader(plan.name, plan.side, lines[plan.port], plan.address, turns=plan.byte_order == "turned")
        case WiegandPlan():
            return WiegandReader(
                plan.name,
                plan.side,
                plan.d0,
                plan.d1,
                light=plan.light,
                beeper=plan.beeper,
                outputs_active_high=plan.outputs_active_high,
                turns=plan.byte_order == "turned",
                factory=factory,
            )
        case SerialCodePlan():
            return serial_reader(plan.name, plan.side, plan.port, plan.baud)
        case KeyboardCodePlan():
            return keyboard_reader(plan.name, plan.side, plan.device)
        case _:
            assert_never(plan)
