"""Visitors' passes: made and signed, used, revoked."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from devices.access.passes import MAX_DOORS, PREFIX, Pass, PassError, read_pass
from devices.contract.payload import new_id
from hub.plugin import N_, Context, MistakeError, now
from plugins.locks.models import UnknownPassError, VisitPass
from plugins.locks.rules.access import Access
from plugins.locks.store import pass_rows
from plugins.locks.trust.hub_keys import HubKeys

LONGEST = timedelta(days=31)
ID_CHARACTERS = 12


class Passes:
    def __init__(self, context: Context, access: Access, hub_keys: HubKeys) -> None:
        self._context = context
        self._access = access
        self._hub_keys = hub_keys

    async def make(
        self, label: str, doors: Sequence[str], first: datetime, until: datetime, actor: str, *, once: bool
    ) -> tuple[VisitPass, str]:
        """Create a pass; it and the text of its QR code, which is not stored.

        Raises MistakeError (no door, too many, a time that is past or longer than LONGEST), SigningError.
        """
        if not doors:
            raise MistakeError(N_("Choose at least one door."))
        if len(doors) > MAX_DOORS:
            raise MistakeError(N_("A pass is for %(count)s doors at most."), count=MAX_DOORS)
        if until <= first:
            raise MistakeError(N_("It ends before it begins."))
        if until <= now():
            raise MistakeError(N_("Its end has passed already."))
        if until - first > LONGEST:
            raise MistakeError(N_("A pass is good for %(days)s days at most."), days=LONGEST.days)
        key = (await self._hub_keys.current()).id
        made = VisitPass(new_id()[:ID_CHARACTERS], label, tuple(doors), first, until, once, now(), actor, key)
        signs = Pass(
            id=made.id, doors=made.doors, first=int(first.timestamp()), until=int(until.timestamp()), once=once
        )
        try:
            signs.text(key, bytes(64))  # that it fits, before anything is written
        except PassError:
            raise MistakeError(N_("So many doors do not fit into one code: choose fewer.")) from None
        content = PREFIX + signs.content()
        sha256 = hashlib.sha256(content).hexdigest()
        await self._access.write(lambda connection: pass_rows.add(connection, made, sha256))
        signed = await self._hub_keys.sign_content(content, key)
        return made, signs.text(signed.key, signed.signature)

    async def revoke(self, name: str, actor: str) -> None:
        """Takes effect here at once, and at each door with its next list. Raises UnknownPassError."""
        if not await self._access.write(lambda connection: pass_rows.revoke(connection, name, actor, now())):
            raise UnknownPassError(name)

    async def read(self, text: str) -> Pass:
        """Verify the text of a QR code. Raises PassError, SigningError."""
        return read_pass(text, await self._hub_keys.trusted())

    def known(self, shown: Pass) -> VisitPass | None:
        """The stored pass; None when it was never issued or has expired."""
        return next((visit_pass for visit_pass in self._access.rule_book.passes if visit_pass.id == shown.id), None)
