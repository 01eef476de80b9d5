"""Scopes: what a token may do. They are defined by the operations that name them."""

from collections.abc import Iterable

from hub.api.operations import Caller, Operation


def scopes_of(operations: Iterable[Operation]) -> set[str]:
    return {one.scope for one in operations if one.scope is not None}


def may_give(caller: Caller, operations: Iterable[Operation]) -> set[str]:
    """The scopes whose operations are all allowed to the caller, who can thus grant them to a token."""
    known = list(operations)
    beyond = {one.scope for one in known if not caller.may(one)}
    return {scope for scope in scopes_of(known) if scope not in beyond}
