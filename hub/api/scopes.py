"""Scopes: the words for what a token may do. They are those that operations name; nobody keeps a list."""

from collections.abc import Iterable

from hub.api.operations import Caller, Operation


def scopes_of(operations: Iterable[Operation]) -> set[str]:
    return {one.scope for one in operations if one.scope is not None}


def may_give(caller: Caller, operations: Iterable[Operation]) -> set[str]:
    """The scopes of which the caller may do everything themselves: nobody makes a token that can do more than they."""
    known = list(operations)
    beyond = {one.scope for one in known if not caller.may(one)}
    return {scope for scope in scopes_of(known) if scope not in beyond}
