"""Accounts on the broker for what is not ours: gateways such as Zigbee2MQTT, an ESPHome device, a Home Assistant."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.messages import Id
from hub.api.operations import Api, Call, Document, Nothing, Page, PageQuery, Query, Request, found, page_of
from hub.devices.admission import Admission, TakenNameError
from hub.devices.gateways import MOST_CHARACTERS, MOST_FILTERS, FilterError, Gateway, Gateways
from hub.web.problems import FieldError, ProblemError


class AccountPath(Query):
    account: Id


class AccountDocument(Document):
    """An account on the broker; its password is known only to whoever got it."""

    name: Id
    filters: list[str] = Field(description="topics that it may write and read")
    announces: bool = Field(description="it may announce devices on homeassistant/#")
    made_at: datetime


class AccountPage(Page[AccountDocument]):
    """Accounts by name."""


class NewAccount(Request):
    name: Id = Field(description="user name and client id")
    filters: list[str] = Field(
        min_length=1, max_length=MOST_FILTERS, description=f"each at most {MOST_CHARACTERS} long"
    )
    announces: bool = True


class MadeAccount(AccountDocument):
    """An account with its password, which comes this once."""

    password: str


class AccountApi:
    def __init__(self, api: Api, gateways: Gateways, admission: Admission) -> None:
        self._gateways = gateways
        self._admission = admission
        look: dict[str, Any] = {"scope": "accounts:read", "roles": {"it"}}
        act: dict[str, Any] = {"scope": "accounts:write", "roles": {"it"}}
        one: dict[str, Any] = {"parameters": AccountPath}
        api.offer(
            "GET",
            "/accounts",
            self.accounts,
            summary="Accounts on the broker",
            answer=AccountPage,
            query=PageQuery,
            **look,
        )
        api.offer(
            "GET", "/accounts/{account}", self.account, summary="One account", answer=AccountDocument, **one, **look
        )
        api.offer(
            "POST",
            "/accounts",
            self.add,
            summary="Make an account; one of the same name gets new topics and a new password",
            answer=MadeAccount,
            body=NewAccount,
            status=201,
            location="/accounts/{name}",
            problems=("conflict",),
            **act,
        )
        api.offer("DELETE", "/accounts/{account}", self.remove, summary="Take an account away, at once", **one, **act)

    async def accounts(self, call: Call[Nothing, PageQuery, Nothing]) -> AccountPage:
        part, following = page_of(self._gateways, lambda one: one.name, call.query)
        return AccountPage(items=[AccountDocument.model_validate(one) for one in map(_fields, part)], next=following)

    async def account(self, call: Call[AccountPath, Nothing, Nothing]) -> AccountDocument:
        return AccountDocument.model_validate(_fields(self._found(call.path)))

    async def add(self, call: Call[Nothing, Nothing, NewAccount]) -> MadeAccount:
        wanted = call.body
        try:
            password = await self._admission.add_gateway(
                wanted.name, wanted.filters, call.caller.name, announces=wanted.announces
            )
        except FilterError as error:
            errors = [FieldError(at="body/filters", detail=str(error))]
            raise ProblemError("invalid", "Look at `errors`.", errors=errors) from None
        except TakenNameError as error:
            raise ProblemError("conflict", str(error)) from None
        made = found(self._gateways.get(wanted.name), "such account any more")
        return MadeAccount(**_fields(made), password=password)

    async def remove(self, call: Call[AccountPath, Nothing, Nothing]) -> None:
        await self._admission.remove_gateway(self._found(call.path).name, call.caller.name)

    def _found(self, path: AccountPath) -> Gateway:
        return found(self._gateways.get(path.account), "such account")


def _fields(one: Gateway) -> dict[str, Any]:
    return {"name": one.name, "filters": list(one.filters), "announces": one.announces, "made_at": one.made_at}
