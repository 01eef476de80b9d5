"""Devices that have announced themselves, what their entities say, have said and can be told."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Base64Bytes, BeforeValidator, Field

from devices.contract.payload import Text
from hub.api.operations import (
    PASSWORD_AGAIN,
    Call,
    Document,
    Moment,
    Nothing,
    Page,
    PageQuery,
    Query,
    Request,
    found,
    operation,
    page_of,
    whole,
)
from hub.entities.commands import Commands, NotAllowedError, UnreachableError
from hub.entities.entity import Entity, FoundDevice
from hub.entities.history import History
from hub.entities.orders import OrderError, verbs
from hub.entities.registry import Entities
from hub.store.store import now
from hub.web.problems import FieldError, ProblemError

MAX_DAYS = 3650
ENTITY = r"^[a-z_]{1,40}\.[a-z0-9_]{1,200}$"
FOUND = r"^[a-z0-9_]{1,200}$"


class EntityPath(Query):
    entity: str = Field(pattern=ENTITY)


class FoundPath(Query):
    device: str = Field(pattern=FOUND)


class FoundDocument(Document):
    """A device that is not ours and has announced itself."""

    id: str
    name: str
    manufacturer: str | None
    model: str | None
    version: str | None
    is_available: bool | None = Field(description="null: it has no way to say so")
    heard_at: datetime | None = Field(description="null: nothing since the hub has started")
    entities: list[str]


class FoundPage(Page[FoundDocument]):
    """Found devices by id."""


class EntityDocument(Document):
    """One thing that a found device can say or do."""

    id: str
    component: str = Field(description="lock, sensor, switch …")
    name: str
    device: str
    state: str | float | None = Field(description="null: unknown, or away")
    unit: str
    is_available: bool
    is_assumed: bool = Field(description="the state is what was asked for, and nothing confirms it")
    changed_at: datetime | None
    heard_at: datetime | None
    problem: str | None
    may_be_told: bool = Field(
        description="it takes orders, and if it opens a building, or is no account's, IT has allowed it"
    )


class EntityPage(Page[EntityDocument]):
    """Entities by id."""


class EntityQuery(PageQuery):
    component: str | None = Field(default=None, pattern=r"^[a-z_]{1,40}$", description="only of this component")


class AttributesDocument(Document):
    attributes: dict[str, Any]


class PictureDocument(Document):
    """What an image entity shows."""

    content_type: str
    content: Base64Bytes


class SampleDocument(Document):
    at: datetime
    value: str | float | None


class HistoryDocument(Document):
    """In order; of very many numbers, the means of equal spans."""

    samples: list[SampleDocument]


class HistoryQuery(Query):
    since: Moment | None = Field(default=None, description="none: a day before `until`")
    until: Moment | None = Field(default=None, description="none: now")


class Order(Request):
    """What the entity should do."""

    verb: str = Field(pattern=r"^[a-z_]{1,40}$", description="unlock, lock, turn_on, press, set …")
    value: str | float | None = Field(default=None, description="where the verb needs one")
    reason: Text = Field(default="", description="stands in the audit log")


class Given(Document):
    """It is sent. That it is done, the entity's state tells."""

    was_sent: bool


class Keep(Request):
    days: Annotated[int, Field(ge=0, le=MAX_DAYS), BeforeValidator(whole)] | None = Field(
        description="null: as long as the others'; 0: not at all"
    )


class KeptDocument(Document):
    days: int | None


class Permission(Request):
    is_allowed: bool


class PermissionDocument(Document):
    is_allowed: bool


READ: dict[str, Any] = {"scope": "entities:read", "roles": {"it", "caretaker"}}
IT: dict[str, Any] = {"scope": "entities:allow", "roles": {"it"}}


class EntityApi:
    def __init__(self, entities: Entities, commands: Commands, history: History) -> None:
        self._entities = entities
        self._commands = commands
        self._history = history

    @operation("GET", "/found-devices", summary="Found devices", **READ)
    async def found(self, call: Call[Nothing, PageQuery, Nothing]) -> FoundPage:
        part, following = page_of(self._entities.devices.values(), lambda one: one.id, call.query)
        return FoundPage(items=[_found_document(one) for one in part], next=following)

    @operation("GET", "/found-devices/{device}", summary="One found device", **READ)
    async def found_one(self, call: Call[FoundPath, Nothing, Nothing]) -> FoundDocument:
        return _found_document(found(self._entities.devices.get(call.path.device), "such device"))

    @operation("DELETE", "/found-devices/{device}", summary="It is gone: take its announcements away", **IT)
    async def take_away(self, call: Call[FoundPath, Nothing, Nothing]) -> None:
        device = found(self._entities.devices.get(call.path.device), "such device")
        await self._commands.remove_device(device, call.caller.name)

    @operation("GET", "/entities", summary="Entities", **READ)
    async def entities(self, call: Call[Nothing, EntityQuery, Nothing]) -> EntityPage:
        wanted = [one for one in self._entities if call.query.component in (None, one.component)]
        part, following = page_of(wanted, lambda one: one.id, call.query)
        return EntityPage(items=[self._document(one) for one in part], next=following)

    @operation("GET", "/entities/{entity}", summary="One entity", **READ)
    async def entity(self, call: Call[EntityPath, Nothing, Nothing]) -> EntityDocument:
        return self._document(self._found(call.path))

    @operation("GET", "/entities/{entity}/attributes", summary="What it says besides its state", **READ)
    async def attributes(self, call: Call[EntityPath, Nothing, Nothing]) -> AttributesDocument:
        return AttributesDocument(attributes=self._found(call.path).attributes)

    @operation("GET", "/entities/{entity}/picture", summary="The picture that an image shows", **READ)
    async def picture(self, call: Call[EntityPath, Nothing, Nothing]) -> PictureDocument:
        picture, kind = found(self._entities.pictures.get(call.path.entity), "picture")
        return PictureDocument(content_type=kind, content=b64encode(picture))

    @operation("GET", "/entities/{entity}/history", summary="What it was, and when", **READ)
    async def history(self, call: Call[EntityPath, HistoryQuery, Nothing]) -> HistoryDocument:
        until = call.query.until or now()
        since = call.query.since or until - timedelta(days=1)
        samples = await self._history.read(self._found(call.path).id, since.timestamp(), until.timestamp())
        return HistoryDocument(samples=[SampleDocument(at=_time(one.at), value=one.value) for one in samples])

    @operation(
        "POST",
        "/entities/{entity}/command",
        summary="Tell it to do something",
        scope="entities:command",
        roles={"it", "caretaker"},
        status=202,
        problems=("conflict", "password-again"),
    )
    async def command(self, call: Call[EntityPath, Nothing, Order]) -> Given:
        wanted = call.body
        entity = self._found(call.path)
        if call.caller.scopes is None and not await self._commands.may_order(entity, wanted.verb, call.caller.roles):
            raise ProblemError("forbidden", "Your role may not tell it this, or the plugin that knows is out of order.")
        if not call.caller.is_confirmed and self._entities.opens(entity):
            raise ProblemError("password-again", PASSWORD_AGAIN)
        try:
            await self._commands.send(entity.id, wanted.verb, wanted.value, call.caller.name, wanted.reason)
        except OrderError as error:
            raise ProblemError("invalid", str(error), errors=[FieldError(at="body", detail=str(error))]) from None
        except NotAllowedError as error:
            raise ProblemError("forbidden", str(error)) from None
        except UnreachableError as error:
            raise ProblemError("conflict", str(error)) from None
        return Given(was_sent=True)

    @operation("POST", "/entities/{entity}/keep", summary="How long its history is kept", **IT)
    async def keep(self, call: Call[EntityPath, Nothing, Keep]) -> KeptDocument:
        await self._commands.set_retention(self._found(call.path).id, call.body.days, call.caller.name)
        return KeptDocument(days=call.body.days)

    @operation("GET", "/entities/{entity}/permission", summary="Whether it may be told anything", **READ)
    async def permission(self, call: Call[EntityPath, Nothing, Nothing]) -> PermissionDocument:
        return PermissionDocument(is_allowed=self._commands.may_command(self._found(call.path)))

    @operation(
        "PUT",
        "/entities/{entity}/permission",
        summary="Allow that it is told what to do, or not any more",
        asks_again=True,
        **IT,
    )
    async def allow(self, call: Call[EntityPath, Nothing, Permission]) -> PermissionDocument:
        entity = self._found(call.path)
        await self._commands.allow(entity.id, is_allowed=call.body.is_allowed, actor=call.caller.name)
        return PermissionDocument(is_allowed=self._commands.may_command(entity))

    def _document(self, entity: Entity) -> EntityDocument:
        return EntityDocument(
            id=entity.id,
            component=entity.component,
            name=entity.name,
            device=entity.device.id,
            state=entity.state,
            unit=entity.unit,
            is_available=entity.available,
            is_assumed=entity.assumed,
            changed_at=_time(entity.changed_at) if entity.changed_at is not None else None,
            heard_at=_time(entity.last_seen_at) if entity.last_seen_at is not None else None,
            problem=entity.problem,
            may_be_told=bool(verbs(entity)) and self._commands.may_command(entity),
        )

    def _found(self, path: EntityPath) -> Entity:
        return found(self._entities.get(path.entity), "such entity")


def _found_document(device: FoundDevice) -> FoundDocument:
    maker = device.maker
    return FoundDocument(
        id=device.id,
        name=device.name,
        manufacturer=maker.manufacturer if maker else None,
        model=maker.model if maker else None,
        version=maker.sw_version if maker else None,
        is_available=device.available,
        heard_at=_time(device.last_seen_at) if device.last_seen_at is not None else None,
        entities=sorted(device.entities),
    )


def _time(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
