"""The console's search, for programs."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from devices.contract.payload import clean
from hub.api.operations import Call, Document, Nothing, Request, operation
from hub.console.search.search import MAX_LENGTH, MIN_LENGTH, search
from hub.hooks.asking import Hooks


class Question(Request):
    """In a body: what people search for is often a name, and addresses end up in logs."""

    text: Annotated[str, BeforeValidator(clean), StringConstraints(max_length=MAX_LENGTH)] = Field(
        description=f"less than {MIN_LENGTH} characters find nothing"
    )


class FindingDocument(Document):
    """What a plugin knows about it."""

    plugin: str
    title: str
    path: str = Field(description="of the page on the console")
    note: str


class FindingsDocument(Document):
    """By plugin, the best first. A token sees what every role may see."""

    findings: list[FindingDocument]


class SearchApi:
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    @operation(
        "POST",
        "/search",
        summary="Search in all plugins",
        scope="search:read",
        roles={"front_line", "caretaker", "it"},
        is_personal=True,
    )
    async def search(self, call: Call[Nothing, Nothing, Question]) -> FindingsDocument:
        answers = await search(self._hooks, call.body.text, call.caller.roles)
        return FindingsDocument(
            findings=[
                FindingDocument(plugin=plugin, title=one.title, path=one.path, note=one.note)
                for plugin, findings in answers
                for one in findings
            ]
        )
