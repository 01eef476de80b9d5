"""Found devices" entities: what can be told to them, and what hinders it."""

from hub.entities.commands import NotAllowedError, UnknownEntityError, UnreachableError
from hub.entities.orders import OrderError, verbs
from hub.entities.words import STATES

__all__ = [
    "STATES",
    "NotAllowedError",
    "OrderError",
    "UnknownEntityError",
    "UnreachableError",
    "verbs",
]
