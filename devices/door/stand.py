"""How the lock stands: released for a moment, open for all, or locked. Nothing else moves the relay."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import orjson
import structlog

from devices.access.deciding import is_open_for_all
from devices.contract.door import Command, EventKind, Mode
from devices.door.deciding.clock import TimeOfDay
from devices.door.deciding.modes import Lasting, Modes
from devices.door.deciding.passage import Passage
from devices.door.hardware.interface import Hardware, HardwareError
from devices.door.memory.lists import InUse
from devices.door.telling import Telling

log = structlog.get_logger("door")


class Stand:
    """By a person's word, by the schedule of the list in use, or for somebody who may pass."""

    def __init__(
        self,
        hardware: Hardware,
        clock: Callable[[], float],
        lasting: Mapping[str, str],
        telling: Telling,
        tell_state: Callable[[], None],
        time_of_day: TimeOfDay,
    ) -> None:
        """`lasting`: what `obey`, `follow_lockdown` and `arrived` had kept before the last start."""
        self.used: InUse | None = None
        self.passage = Passage(clock)
        self._hardware = hardware
        self._telling = telling
        self._tell_state = tell_state
        self._time_of_day = time_of_day
        self._modes = Modes(clock, _lasting_of(lasting))
        self._arrived_on = lasting.get("arrived_on", "")
        self._is_open_for_all = False

    @property
    def mode(self) -> Mode:
        return self._modes.mode

    @property
    def hold_seconds(self) -> int:
        return self._modes.hold_seconds

    @property
    def is_locked_down(self) -> bool:
        return self._modes.lasting.lockdown

    def obey(self, command: Command) -> tuple[str, str] | None:
        """What must be on the disk before anybody hears that it is done.

        Raises HardwareError; then nothing has changed.
        """
        before = self._modes.snapshot()
        try:
            self._do(command)
        except HardwareError:
            self._modes.restore(before)
            raise
        return _kept(self._modes.lasting) if self._modes.lasting != before[1] else None

    def pulse(self, pulse_ms: int) -> None:
        """Raises HardwareError."""
        self.passage.granted(pulse_ms)
        self._hardware.pulse(pulse_ms)

    def admit(self, *, arrives: bool) -> None:
        """For somebody whom the list in use lets in; an employee's coming begins the day. Raises HardwareError."""
        assert self.used is not None  # noqa: S101 (it was decided by it)
        if arrives:
            self._arrived(self.used)
        self.pulse(self.used.access.pulse_ms)

    def follow_lockdown(self, found: InUse) -> None:
        """A door that was away when it was ordered hears of it by its list; one from before an order says nothing."""
        if found.access.audit < self._modes.lasting.ordered:
            return
        if found.access.lockdown != self.is_locked_down:
            self._modes.set_lockdown(is_on=found.access.lockdown)
            self._telling.recorder.put_lasting(*_kept(self._modes.lasting))
            self.look()

    def look(self) -> None:
        """Every second: what has come to its end, and what has not come."""
        if self._modes.hold_has_ended():
            self._telling.happened("hold_ended")
        try:
            self.follow()
        except HardwareError as error:
            log.error("relay_failed", error=str(error))  # noqa: TRY400 (it is tried again in a second)
        self.tell(self.passage.look(self.used.access.held_open_seconds if self.used else None))

    def follow(self) -> None:
        """Unlocked for all, or not, as mode and schedule say. Raises HardwareError."""
        is_open = self._modes.is_open(by_schedule=self._is_scheduled())
        if is_open == self._is_open_for_all:
            return
        if is_open:
            self._hardware.unlock()
        else:
            self._hardware.lock()
        self._is_open_for_all = is_open
        self.passage.stands_open_for_all(is_open=is_open)
        if self.mode == "schedule" and not self.is_locked_down:
            self._telling.happened("opened_by_schedule" if is_open else "closed_by_schedule")
        self._tell_state()

    def tell(self, kinds: list[EventKind]) -> None:
        for kind in kinds:
            self._telling.happened(kind)

    def _do(self, command: Command) -> None:
        match command.verb:
            case "pulse":
                return self.pulse(command.pulse_ms or 0)
            case "hold_open":
                self._modes.hold_open(command.hold_seconds or 0)
            case "lock":
                self._modes.lock()
            case "resume":
                self._modes.resume()
            case "lockdown" | "lift_lockdown":
                self._modes.set_lockdown(is_on=command.verb == "lockdown", ordered=command.audit)
            case "deny":
                return None
        return self.follow()

    def _arrived(self, used: InUse) -> None:
        now = self._time_of_day.now()
        if now is None:
            return  # of which day?
        today = used.access.local(now).date().isoformat()
        if self._arrived_on != today:
            self._arrived_on = today
            self._telling.recorder.put_lasting("arrived_on", today)

    def _is_scheduled(self) -> bool:
        now = self._time_of_day.now()
        if self.used is None or now is None:
            return False
        access = self.used.access
        has_arrived = self._arrived_on == access.local(now).date().isoformat()
        return is_open_for_all(access, now, has_arrived=has_arrived)


def _kept(lasting: Lasting) -> tuple[str, str]:
    return "modes", orjson.dumps(asdict(lasting)).decode()


def _lasting_of(kept: Mapping[str, str]) -> Lasting:
    return Lasting(**orjson.loads(kept["modes"])) if "modes" in kept else Lasting()
