"""Controls the lock: released for a moment, open for all, or locked. Nothing else moves the relay."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import orjson
import structlog

from devices.access.deciding import is_open_for_all
from devices.contract.door import Command, EventKind, Mode
from devices.door.deciding.clock import TimeOfDay
from devices.door.deciding.modes import Modes, SavedModes
from devices.door.deciding.passage import Passage
from devices.door.hardware.interface import Hardware, HardwareError
from devices.door.memory.lists import ActiveList
from devices.door.reporter import Reporter

log = structlog.get_logger("door")


class LockControl:
    """Applies commands, the schedule of the active list, and grants at the readers."""

    def __init__(
        self,
        hardware: Hardware,
        clock: Callable[[], float],
        persisted: Mapping[str, str],
        reporter: Reporter,
        publish_state: Callable[[], None],
        time_of_day: TimeOfDay,
    ) -> None:
        """`persisted`: what was persisted before the last start."""
        self.active_list: ActiveList | None = None
        self.passage = Passage(clock)
        self._hardware = hardware
        self._reporter = reporter
        self._publish_state = publish_state
        self._time_of_day = time_of_day
        self._modes = Modes(clock, _saved_modes(persisted))
        self._arrived_on = persisted.get("arrived_on", "")
        self._is_open_for_all = False

    @property
    def mode(self) -> Mode:
        return self._modes.mode

    @property
    def hold_seconds(self) -> int:
        return self._modes.hold_seconds

    @property
    def is_locked_down(self) -> bool:
        return self._modes.saved.lockdown

    def execute(self, command: Command) -> tuple[str, str] | None:
        """Execute a command; what must be persisted before the outcome is reported.

        Raises HardwareError; then nothing has changed.
        """
        before = self._modes.snapshot()
        try:
            self._do(command)
        except HardwareError:
            self._modes.restore(before)
            raise
        return _as_persisted(self._modes.saved) if self._modes.saved != before[1] else None

    def pulse(self, pulse_ms: int) -> None:
        """Raises HardwareError."""
        self.passage.granted(pulse_ms)
        self._hardware.pulse(pulse_ms)

    def admit(self, *, arrives: bool) -> None:
        """Open for a grant by the active list. `arrives`: an employee's, for the schedule. Raises HardwareError."""
        assert self.active_list is not None  # noqa: S101 (the decision was made by it)
        if arrives:
            self._arrived(self.active_list)
        self.pulse(self.active_list.access.pulse_ms)

    def apply_lockdown(self, found: ActiveList) -> None:
        """Apply the lockdown of a list, unless the list is older than the last order."""
        if found.access.audit < self._modes.saved.ordered:
            return
        if found.access.lockdown != self.is_locked_down:
            self._modes.set_lockdown(is_on=found.access.lockdown)
            self._reporter.recorder.persist(*_as_persisted(self._modes.saved))
            self.tick()

    def tick(self) -> None:
        """Call every second: end holds, apply the schedule, and report what did not happen in time."""
        if self._modes.hold_has_ended():
            self._reporter.report("hold_ended")
        try:
            self.apply()
        except HardwareError as error:
            log.error("relay_failed", error=str(error))  # noqa: TRY400 (it is tried again in a second)
        self.report(self.passage.tick(self.active_list.access.held_open_seconds if self.active_list else None))

    def apply(self) -> None:
        """Unlock or lock the door for all, by mode and schedule. Raises HardwareError."""
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
            self._reporter.report("opened_by_schedule" if is_open else "closed_by_schedule")
        self._publish_state()

    def report(self, kinds: list[EventKind]) -> None:
        for kind in kinds:
            self._reporter.report(kind)

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
        return self.apply()

    def _arrived(self, used: ActiveList) -> None:
        now = self._time_of_day.now()
        if now is None:
            return  # the day is unknown
        today = used.access.local(now).date().isoformat()
        if self._arrived_on != today:
            self._arrived_on = today
            self._reporter.recorder.persist("arrived_on", today)

    def _is_scheduled(self) -> bool:
        now = self._time_of_day.now()
        if self.active_list is None or now is None:
            return False
        access = self.active_list.access
        has_arrived = self._arrived_on == access.local(now).date().isoformat()
        return is_open_for_all(access, now, has_arrived=has_arrived)


def _as_persisted(persisted: SavedModes) -> tuple[str, str]:
    return "modes", orjson.dumps(asdict(persisted)).decode()


def _saved_modes(persisted: Mapping[str, str]) -> SavedModes:
    return SavedModes(**orjson.loads(persisted["modes"])) if "modes" in persisted else SavedModes()
