"""Findings of `kommunevert check` beyond invalid values (hub/cli/checking.py)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """`where` is relative to the checked section: `("mail", "port")`. The text is in English, for IT.

    A hint may be intentional; anything else is a mistake.
    """

    where: tuple[str | int, ...]
    text: str
    is_hint: bool = False
