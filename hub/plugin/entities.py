"""Orders to found devices' entities, and their errors."""

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
