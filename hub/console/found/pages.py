"""The console's pages of found devices: their entities' states and history, and orders to them."""

import json
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import hdrs, web
from babel.dates import format_timedelta
from babel.numbers import format_decimal

from hub.devices.registry import Devices
from hub.entities.commands import Commands, NotAllowedError, UnknownEntityError, UnreachableError
from hub.entities.configs import COMPONENTS
from hub.entities.entity import Entity, FoundDevice, Value
from hub.entities.history import History
from hub.entities.orders import OrderError, verbs
from hub.entities.places import FoundPlaces
from hub.entities.registry import Entities
from hub.entities.words import VERBS, message_of, name_of
from hub.language.translation import N_
from hub.web.forms import Form, number_in
from hub.web.pages import Pages, babel_locale, see
from hub.web.place_form import PLACE, place_in, suggestions
from hub.web.security import session_of
from hub.work.parts import Condition

MAX_DEVICES = 200
MAX_DAYS = 3650
DASH = "\N{EN DASH}"
HISTORY_SPAN = timedelta(days=1)
MAX_CHANGES = 20
JUST_NOW_SECONDS = 5
PICTURES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})


class FoundPages:
    def __init__(
        self,
        pages: Pages,
        entities: Entities,
        commands: Commands,
        history: History,
        places: FoundPlaces,
        devices: Devices,
        condition: Condition,
    ) -> None:
        self._pages = pages
        self._entities = entities
        self._commands = commands
        self._history = history
        self._places = places
        self._devices = devices
        self._condition = condition
        pages.page("/found", {"it", "caretaker"}, self.all)
        pages.page("/found/{device}", {"it", "caretaker"}, self.one)
        pages.page("/found/{device}/pictures/{entity}", {"it", "caretaker"}, self.picture)
        pages.page("/found/{device}/diagnostics", {"it", "caretaker"}, self.diagnostics)
        pages.action("/found/{device}/place", {"it"}, self.place, PLACE)
        pages.action(
            "/found/{device}/order",
            {"it", "caretaker"},
            self.order,
            Form(must=("entity", "verb"), may=("value", "reason")),
        )
        pages.action(
            "/found/{device}/allow",
            {"it"},
            self.allow,
            Form(must=("entity", "allowed"), choices={"allowed": {"yes", "no"}}),
            asks_again=True,
        )
        pages.action("/found/{device}/keep", {"it"}, self.keep, Form(must=("entity", "days")))
        pages.action("/found/{device}/remove", {"it"}, self.remove)

    async def all(self, request: web.Request) -> web.StreamResponse:
        query = request.query.get("q", "").strip()
        entities = self._entities
        place_of = self._places.of
        found = [one for one in entities.devices.values() if _matches(one, str(place_of(one)), query.lower())]
        found.sort(key=lambda one: (one.available is not False, one.name.lower()))
        return await self._pages.render(
            request,
            "found.html",
            devices=found[:MAX_DEVICES],
            query=query,
            total=len(found),
            entity_count=len(entities),
            most=MAX_DEVICES,
            mistakes=dict(entities.errors),
            is_disputed=entities.is_disputed,
            **self._template_values(request),
        )

    async def one(self, request: web.Request) -> web.StreamResponse:
        return await self._device_page(request)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """An image entity's picture. It comes from a device, so it is served only as one of the known image types."""
        picture, kind = self._entities.pictures.get(request.match_info["entity"], (b"", ""))
        if kind not in PICTURES:
            raise web.HTTPNotFound(text="There is no picture.")
        return web.Response(body=picture, content_type=kind, headers={hdrs.CACHE_CONTROL: "no-store"})

    async def diagnostics(self, request: web.Request) -> web.StreamResponse:
        """For remote support: what the device announces and its condition, but no states that may identify a person."""
        device = self._device(request)
        document = {
            "made_at": datetime.now(UTC).isoformat(),
            "device": device.id,
            "maker": _announced_fields(device.maker),
            "origin": _announced_fields(device.origin),
            "is_available": device.available,
            "entities": [
                {
                    "id": entity.id,
                    "announced_by": entity.place[0],
                    "config": {
                        key: value
                        for key, value in _announced_fields(entity.config).items()
                        if key not in ("device", "origin")
                    },
                    "state": None if entity.component in ("tag", "text", "image") else entity.value,
                    "is_available": entity.available,
                    "is_assumed": entity.assumed,
                    "changed_at": entity.changed_at,
                    "heard_at": entity.last_seen_at,
                    "problem": entity.problem,
                }
                for entity in device.entities.values()
            ],
            "mistakes": [text for topic, text in self._entities.errors.items() if device.id in topic],
            "hub": self._condition.in_words(),
        }
        return web.Response(
            text=json.dumps(document, indent=1, default=str) + "\n",
            content_type="application/json",
            headers={
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{device.id}-diagnostics.json"',
                hdrs.CACHE_CONTROL: "no-store",
            },
        )

    async def place(self, request: web.Request) -> web.StreamResponse:
        device = self._device(request)
        place = place_in({key: str(value) for key, value in (await request.post()).items()})
        await self._places.set_place(device, place, session_of(request).account)
        return see(self._address(request))

    async def order(self, request: web.Request) -> web.StreamResponse:
        """Send an order to an entity. What opens a building asks for the password again."""
        sent = await request.post()
        entity, verb = self._entity(str(sent.get("entity", ""))), str(sent.get("verb", ""))
        if not await self._commands.may_order(entity, verb, session_of(request).roles):
            raise web.HTTPForbidden(text="Your role may not tell it this, or the plugin that knows is out of order.")
        send = self._pages.ask_again(self._send_order) if self._entities.opens(entity) else self._send_order
        return await send(request)

    async def _send_order(self, request: web.Request) -> web.StreamResponse:
        """Send the order; if it cannot be sent, the page says why."""
        sent = await request.post()
        entity, verb = str(sent.get("entity", "")), str(sent.get("verb", ""))
        value = str(sent["value"]) if "value" in sent else None
        reason = str(sent.get("reason", "")).strip()[:200]
        try:
            await self._commands.send(entity, verb, value, session_of(request).account, reason)
        except (OrderError, NotAllowedError, UnreachableError) as error:
            return await self._device_page(request, problem=(entity, _kind_of(error), str(error)), status=409)
        except UnknownEntityError:
            raise web.HTTPNotFound(text="There is no such entity.") from None
        return see(self._address(request))

    async def allow(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        entity = self._entity(str(sent.get("entity", "")))
        actor = session_of(request).account
        await self._commands.allow(entity.id, is_allowed=sent.get("allowed") == "yes", actor=actor)
        return see(self._address(request))

    async def keep(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        entity, days = self._entity(str(sent.get("entity", ""))), str(sent.get("days", ""))
        wanted = number_in(days, MAX_DAYS)
        if days and wanted is None:
            raise web.HTTPBadRequest(text=f"days: expected a whole number from 0 to {MAX_DAYS}, or nothing")
        await self._commands.set_retention(entity.id, wanted, session_of(request).account)
        return see(self._address(request))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        await self._commands.remove_device(self._device(request), session_of(request).account)
        return see("/found")

    async def _device_page(self, request: web.Request, *, problem: Any = None, status: int = 200) -> web.StreamResponse:
        device = self._device(request)
        until = time.time()
        history = {
            entity.id: await self._history.read(entity.id, until - HISTORY_SPAN.total_seconds(), until)
            for entity in device.entities.values()
        }
        roles = session_of(request).roles
        allowed_verbs = {
            one.id: [verb for verb in verbs(one) if await self._commands.may_order(one, verb, roles)]
            for one in device.entities.values()
        }
        return await self._pages.render(
            request,
            "found_device.html",
            status=status,
            device=device,
            asks_of=allowed_verbs,
            history=history,
            suggestions=suggestions(self._devices),
            most_changes=MAX_CHANGES,
            problem=problem,
            keep_days=self._history.keep_days,
            verbs=verbs,
            verb_words=VERBS,
            opens=self._entities.opens,
            needs_permission=self._entities.needs_permission,
            is_disputed=self._entities.is_disputed(device),
            has_changed=self._commands.has_changed,
            may=self._commands.may_command,
            pictures={one for one, (_, kind) in self._entities.pictures.items() if kind in PICTURES},
            moment_of=lambda at: datetime.fromtimestamp(at, UTC),
            **self._template_values(request),
        )

    def _template_values(self, request: web.Request) -> dict[str, Any]:
        language = self._pages.language(request)
        return {
            "say": _state_formatter(language, self._pages.words(language)),
            "age": _age(language),
            "ago": _ago(language, self._pages.words(language)),
            "name_of": lambda entity: self._pages.words(language)(name_of(entity)),
            "known_components": frozenset(COMPONENTS),
            "place_of": self._places.of,
        }

    def _device(self, request: web.Request) -> FoundDevice:
        device = self._entities.devices.get(request.match_info["device"])
        if device is None:
            raise web.HTTPNotFound(text="There is no such device, or it is gone.")
        return device

    def _entity(self, entity_id: str) -> Entity:
        entity = self._entities.get(entity_id)
        if entity is None:
            raise web.HTTPNotFound(text="There is no such entity.")
        return entity

    def _address(self, request: web.Request) -> str:
        return f"/found/{request.match_info['device']}"


def _matches(device: FoundDevice, place: str, query: str) -> bool:
    maker = device.maker
    texts = [device.name, device.id, place, *((maker.manufacturer, maker.model) if maker else ())]
    return not query or any(query in (text or "").lower() for text in texts)


def _announced_fields(announced: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields that were announced, without empty ones."""
    if announced is None:
        return {}
    found = {one.name: getattr(announced, one.name) for one in fields(announced) if one.name not in without}
    return {key: value for key, value in found.items() if value not in (None, [], "")}


def _state_formatter(language: str, words: Callable[..., str]) -> Callable[[Entity, Value], str]:
    """A state in the page's language, with its unit; a dash when it is unknown."""

    def say(entity: Entity, value: Value) -> str:
        if value is None:
            return DASH
        if isinstance(value, str):
            return words(message_of(entity, value))
        number = format_decimal(value, format="#,##0.###", locale=babel_locale(language))
        return f"{number} {entity.unit}".rstrip()

    return say


def _age(language: str) -> Callable[[float | None], str]:
    def age(at: float | None) -> str:
        if at is None:
            return DASH
        return str(format_timedelta(timedelta(seconds=time.time() - at), locale=babel_locale(language), threshold=1.2))

    return age


def _ago(language: str, words: Callable[..., str]) -> Callable[[float], str]:
    age = _age(language)
    return lambda at: (
        words(N_("just now")) if time.time() - at < JUST_NOW_SECONDS else words(N_("%(time)s ago"), time=age(at))
    )


def _kind_of(error: Exception) -> str:
    if isinstance(error, NotAllowedError):
        return "not_allowed"
    return "away" if isinstance(error, UnreachableError) else "wrong"
