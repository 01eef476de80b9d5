"""For `tables.py` and for migrations."""

from hub.store.renaming_people import rename_people, rename_people_within
from hub.store.store import Utc

__all__ = [
    "Utc",
    "rename_people",
    "rename_people_within",
]
