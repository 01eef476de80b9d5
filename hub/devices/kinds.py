"""Kinds of device, as the plugins that drive them say: the kernel knows none by itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`name` is a message of the plugin `owner`. A device is a browser on `page`, or a computer that runs `program`.

    `subject` is what pages are told by when something about these devices has changed.
    """

    owner: str
    name: str
    page: str | None = None
    program: str | None = None
    subject: str | None = None

    @property
    def shows_code(self) -> str | None:
        """Where or by which command a new device of this kind shows its code for pairing."""
        return self.page or (f"{self.program} --pair" if self.program else None)
