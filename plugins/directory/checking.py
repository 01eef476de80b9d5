"""`kommunevert check` for the directory: whether it can be read, and whether people are in it."""

from itertools import islice

from hub.plugin import PersonIds, Remark
from plugins.directory.config import Ldif, Settings
from plugins.directory.entries import DirectoryError, employee_of
from plugins.directory.source import source_for

ENOUGH = 100
"""A sample of people that shows whether the attributes have the right names."""


def check_source(settings: Settings, *, trying: bool) -> list[Remark]:
    """Blocking. Connects to a server only when `trying`."""
    is_file = isinstance(settings.source, Ldif)
    if not (is_file or trying) or (isinstance(settings.source, Ldif) and not settings.source.file.is_file()):
        return []  # a missing file is reported already
    try:
        people = list(islice(source_for(settings).entries(), None if is_file else ENOUGH))
    except DirectoryError as error:
        return [Remark(("source",), str(error))]
    if not people:
        return [Remark(("source", "object_class"), f"nobody there is a {settings.source.object_class}")]
    nobodys_ids = PersonIds(b"")
    if not any(employee_of(person, settings, nobodys_ids) for person in people):
        names = settings.attributes
        what = f"of {len(people)} people nobody has both `{names.id}` and `{names.name}` and is no disabled account"
        return [Remark(("attributes",), what)]
    return []
