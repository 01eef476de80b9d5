"""What `kommunevert check` finds beyond the values of the settings (hub/cli/checking.py)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """`where` is below the section that was looked over: `("mail", "port")`. The text is in English, for IT.

    A hint is something that may be meant so; anything else is a mistake.
    """

    where: tuple[str | int, ...]
    text: str
    is_hint: bool = False
