"""Kinds of device, declared by the plugins that drive them; the kernel itself knows none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`name` is a message of the plugin `owner`. A device is a browser on `page`, or a computer that runs `program`.

    `subject` is the subject of `Live` that is touched when one of these devices changes.
    """

    owner: str
    name: str
    page: str | None = None
    program: str | None = None
    subject: str | None = None

    @property
    def shows_code(self) -> str | None:
        """The page or command by which a new device of this kind displays its pairing code."""
        return self.page or (f"{self.program} --pair" if self.program else None)
