"""The screens' programmes and notices."""

import hashlib
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, delete, func, insert, select, update

from devices.contract import screen
from devices.contract.payload import MAX_PAYLOAD_BYTES
from hub.plugin import N_, Context, Run, audit, now
from hub.plugin.calendar import other_days, week_of
from hub.plugin.hooks import HeldData
from plugins.directory.contract import presences
from plugins.signage.contract import slides
from plugins.signage.models import ScreenNotice
from plugins.signage.tables import notice, off

MAX_SLIDES = 3
END = "end notice"
"""The job that takes a notice down at its end."""
MAX_ROWS = 60
"""More people than a screen can show, and well below the limit of a payload."""


class Signage:
    def __init__(self, context: Context) -> None:
        self.problem: str | None = None
        self.off: set[str] = set()
        """Screens that are switched off."""
        self._context = context

    async def publish(self, only: str | None = None) -> None:
        """Publish the programme, retained, to every screen or to one."""
        whole, notices, slides_shown = await self._base_programme(), await self.notices(), await self._slides()
        self.off = await self._context.store.read(_off)
        self.problem = None
        for device in self._context.devices.of_kind(screen.KIND):
            programme = _of_screen(whole, device.id, notices, slides_shown)
            if len(programme.encoded()) > MAX_PAYLOAD_BYTES:
                self.problem = N_("The notices are longer than a screen can take. Shorten or take down some of them.")
            elif only in (None, device.id):
                self._context.send(device, "programme", programme if device.id not in self.off else _dark(programme))
        self._context.live.touch("screens")

    async def programme(self, of_screen: str | None = None) -> screen.Programme:
        """The whole programme of one screen, or of all screens together."""
        return _of_screen(await self._base_programme(), of_screen, await self.notices(), await self._slides())

    async def _base_programme(self) -> screen.Programme:
        """The programme without notices. The board says who is in or out, never why; never a visitor."""
        site, calendar = self._context.site, self._context.calendar
        found = await self._context.hooks.all(presences)
        board = [
            screen.BoardRow(name=presence.person.name, unit=presence.person.unit, is_in=presence.is_in)
            for some in found
            for presence in some
        ][:MAX_ROWS]
        return screen.Programme(
            revision="",
            site_name=site.name,
            time_zone=site.time_zone,
            languages=list(site.languages),
            hours=week_of(calendar),
            other_days=await other_days(calendar, site, self._context.translator),
            board=board,
            made_at=now(),
        )

    async def notices(self) -> list[ScreenNotice]:
        """Notices that have not ended, including those that have not started."""
        return await self._context.store.read(lambda connection: _current(connection, now()))

    async def _slides(self) -> list[screen.Notice]:
        """Slides of other plugins; a few each, so that none fills the screens."""
        shown: list[screen.Notice] = []
        for plugin, offered in (await self._context.hooks.all(slides)).by_plugin:
            for slide in offered[:MAX_SLIDES]:
                with suppress(ValidationError):  # an id or a language that is none
                    shown.append(
                        screen.Notice(
                            id=f"{plugin}-{slide.id}"[:64], title=slide.title, text=slide.text, until=slide.until
                        )
                    )
        return [notice for notice in shown if notice.until is None or notice.until > now()]

    async def held(self) -> HeldData:
        count, oldest = await self._context.store.read(_writers)
        return HeldData(N_("who put up notices"), count, N_("until the notice ends or is taken down"), oldest)

    async def put_up(self, added: ScreenNotice, actor: str) -> None:
        row = added.model_dump() | {"made_at": now(), "made_by": actor}

        def write(connection: Connection) -> None:
            connection.execute(insert(notice), row)
            self._end_at(connection, added.id, added.until)
            audit.record(connection, actor, "notice.put_up", added.id)

        await self._context.store.write(write)
        await self.publish()

    async def change(self, changed: ScreenNotice, actor: str) -> bool:
        """Replace the notice with the same id. False: it has been taken down."""

        def write(connection: Connection) -> bool:
            row = changed.model_dump(exclude={"id"})
            if not connection.execute(update(notice).where(notice.c.id == changed.id), row).rowcount:
                return False
            self._end_at(connection, changed.id, changed.until)
            audit.record(connection, actor, "notice.changed", changed.id)
            return True

        is_there = await self._context.store.write(write)
        await self.publish()
        return is_there

    async def switch(self, screen_id: str, *, is_on: bool, actor: str) -> None:
        """A screen that is off is dark, also after a restart."""

        def write(connection: Connection) -> None:
            connection.execute(delete(off).where(off.c.screen == screen_id))
            if not is_on:
                connection.execute(insert(off), {"screen": screen_id})
            audit.record(connection, actor, "screen.switched_on" if is_on else "screen.switched_off", screen_id)

        await self._context.store.write(write)
        await self.publish()

    async def take_down(self, notice_id: str, actor: str) -> None:
        def write(connection: Connection) -> None:
            if connection.execute(delete(notice).where(notice.c.id == notice_id)).rowcount:
                self._end_at(connection, notice_id, None)
                audit.record(connection, actor, "notice.taken_down", notice_id)

        await self._context.store.write(write)
        await self.publish()

    async def schedule_ends(self) -> None:
        """Have each notice that has an end taken down then, also those of a version that did not."""

        def write(connection: Connection) -> None:
            for row in connection.execute(select(notice.c.id, notice.c.until).where(notice.c.until.is_not(None))):
                self._end_at(connection, row.id, row.until)

        await self._context.store.write(write)

    async def end(self, run: Run) -> None:
        """The job END: take down the notice `run.key`, if its end has not been moved."""

        def write(connection: Connection) -> None:
            ended = (notice.c.id == run.key) & (notice.c.until <= now())
            if run.settle(connection) and connection.execute(delete(notice).where(ended)).rowcount:
                audit.record(connection, "plugin signage", "notice.ended", run.key)

        await self._context.store.write(write)
        await self.publish()

    def _end_at(self, connection: Connection, notice_id: str, until: datetime | None) -> None:
        if until is None:
            self._context.cancel(connection, END, notice_id)
        else:
            self._context.at(connection, END, notice_id, until)


def _of_screen(
    whole: screen.Programme, screen_id: str | None, notices: list[ScreenNotice], slides_shown: list[screen.Notice]
) -> screen.Programme:
    own = [notice.as_sent() for notice in notices if screen_id is None or notice.is_for(screen_id)]
    return _revised(whole.model_copy(update={"notices": [*own, *slides_shown]}))


def _dark(programme: screen.Programme) -> screen.Programme:
    """The same programme, switched off."""
    return _revised(programme.model_copy(update={"is_on": False}))


def _revised(programme: screen.Programme) -> screen.Programme:
    content = programme.model_dump_json(exclude={"revision", "made_at"}).encode()
    return programme.model_copy(update={"revision": hashlib.sha256(content).hexdigest()[:16]})


def _off(connection: Connection) -> set[str]:
    return set(connection.execute(select(off.c.screen)).scalars())


def _current(connection: Connection, at: datetime) -> list[ScreenNotice]:
    rows = connection.execute(
        select(notice).where(notice.c.until.is_(None) | (notice.c.until > at)).order_by(notice.c.made_at.desc())
    )
    return [ScreenNotice.model_validate(row, from_attributes=True) for row in rows]


def _writers(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(select(func.count(), func.min(notice.c.made_at))).one()
    return row[0], row[1]
