"""Alarms, raised by events of doors and by their silence, mailed to caretakers, and acknowledged."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection

from devices.contract import door
from hub.plugin import Context, after_commit, now
from plugins.directory.contract import Person
from plugins.locks.config import Settings
from plugins.locks.models import Alarm
from plugins.locks.store import alarm_rows
from plugins.locks.wording import HAPPENED, SUBJECTS
from plugins.notify.contract import Message, deliver

LOOK_SECONDS = 10.0
AWAY_SECONDS = 120.0
LOW_BATTERY_PERCENT = 20
CHARGED_PERCENT = 30
"""Hysteresis: a battery around the limit raises one alarm."""


class UnknownAlarmError(LookupError):
    """There is no such alarm, or somebody has acknowledged it already."""


class Alarms:
    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._news = asyncio.Event()
        self._began = time.monotonic()
        self._raised: set[tuple[str, str]] = set()
        """Active alarms by (door, kind), so that the store is written only when something changes."""

    def record(self, connection: Connection, door_id: str, kind: str, at: datetime, count: int = 1) -> None:
        """Raise, count up or end the alarm that an event of this kind is about, in the event's own transaction."""
        if alarm_rows.record(connection, door_id, kind, at, count):
            after_commit(connection, self._news.set)

    async def active(self) -> list[Alarm]:
        """Alarms that are not acknowledged, the gravest first."""
        return await self._context.store.read(alarm_rows.active)

    async def acknowledge(self, number: int, actor: str, text: str) -> None:
        """Raises UnknownAlarmError."""
        found = await self._context.store.write(
            lambda connection: alarm_rows.acknowledge(connection, number, actor, text, now())
        )
        if found is None:
            raise UnknownAlarmError(number)
        self._raised.discard((found.door, found.kind))
        self._context.live.touch("doors")

    async def watch(self) -> None:
        """Run forever: check for silent doors and low batteries, and send notifications."""
        self._raised = {(alarm.door, alarm.kind) for alarm in await self.active()}
        while True:
            self._news.clear()
            await self._look(now(), time.monotonic())
            await self.notify(now())
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()

    # -- what no event reports

    async def _look(self, at: datetime, clock: float) -> None:
        """`clock`: the monotonic one, by which silence is measured."""
        for device in self._context.devices.of_kind(door.KIND):
            vitals = self._context.devices.vitals(device.id)
            silent_since = max(vitals.last_seen_monotonic or self._began, self._began)
            was_there = device.first_seen_at is not None or vitals.last_seen_monotonic is not None
            is_away = was_there and not vitals.is_alive and clock - silent_since > AWAY_SECONDS
            await self._update("away", device.id, at, is_so=is_away, is_over=vitals.is_alive)
            charge = vitals.heartbeat.battery_percent if vitals.heartbeat else None
            if charge is not None:
                is_low, is_full = charge < LOW_BATTERY_PERCENT, charge >= CHARGED_PERCENT
                await self._update("battery_low", device.id, at, is_so=is_low, is_over=is_full)

    async def _update(self, kind: str, door_id: str, at: datetime, *, is_so: bool, is_over: bool) -> None:
        is_known = (door_id, kind) in self._raised
        if is_so and not is_known:
            self._raised.add((door_id, kind))
            await self._context.store.write(lambda connection: alarm_rows.record(connection, door_id, kind, at))
        elif is_over and is_known:
            self._raised.discard((door_id, kind))
            await self._context.store.write(lambda connection: alarm_rows.end(connection, door_id, kind, at))
        else:
            return
        self._context.live.touch("doors")

    # -- notifications

    async def notify(self, at: datetime) -> None:
        """Notify about new active alarms; warnings wait for the end of the quiet hours."""
        waiting = await self._context.store.read(alarm_rows.unannounced)
        ready = [alarm for alarm in waiting if alarm.severity == "grave" or not self._is_quiet(at)]
        if not self._settings.alarms_to:
            return
        done = [alarm.id for alarm in ready if await self._notify_all(alarm)]
        if done:
            await self._context.store.write(lambda connection: alarm_rows.mark_announced(connection, done, at))

    def _is_quiet(self, at: datetime) -> bool:
        quiet = self._settings.quiet_hours
        return quiet is not None and quiet.are(at.astimezone(self._context.site.zone).time())

    async def _notify_all(self, alarm: Alarm) -> bool:
        """Whether a channel has accepted the message to every address. Repeating it does not send it twice."""
        site, text = self._context.site, self._context.translator.text
        language = site.languages[0]
        device = self._context.devices.get(alarm.door)
        name = device.name if device else alarm.door
        where = f"{name}, {device.place}" if device and device.place else name
        body = f"{text(language, HAPPENED[alarm.kind])}.\n{self._context.web_address}/doors/{alarm.door}\n"
        is_accepted = True
        for number, mail in enumerate(self._settings.alarms_to):
            message = Message(
                id=f"door-alarm-{alarm.id}-{number}",
                to=Person(id=f"door-alarms-{number}", name=site.name, unit="", mail=mail),
                subject=f"{text(language, SUBJECTS[alarm.severity])}: {where}: {text(language, HAPPENED[alarm.kind])}",
                body=f"{where}: {body}",
                language=language,
            )
            is_accepted = any(await self._context.hooks.all(deliver, message=message)) and is_accepted
        return is_accepted
