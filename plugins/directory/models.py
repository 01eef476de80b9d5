"""An employee as this plugin knows them."""

import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from plugins.directory.contract import Person


@dataclass(frozen=True)
class Employee:
    id: str
    name: str
    unit: str
    title: str = ""
    mail: str | None = None
    phone: str | None = None
    mobile: str | None = None
    tasks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The folded words of the name, for searching."""

    @cached_property
    def all_words(self) -> tuple[str, ...]:
        """Those of the name, unit, title and tasks, for employees who search."""
        return self.words + folded(f"{self.unit} {self.title} {' '.join(self.tasks)}")

    @cached_property
    def public(self) -> Person:
        phone = self.phone or self.mobile
        return Person(self.id, self.name, self.unit, self.title, self.mail, phone, self.tasks, self.groups)


def folded(text: str) -> tuple[str, ...]:
    """Words without case and accents: `Bjørn-Åge` → bjørn, age. Letters of their own (ø, đ) stay."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return tuple("".join(c if c.isalnum() else " " for c in plain).split())
