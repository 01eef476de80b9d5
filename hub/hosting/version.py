"""The version of the plugin interface, and whether a plugin is compatible."""

import re

API_VERSION = "2.0"
"""The major number changes when plugins must change; the minor one when the interface grows."""


class IncompatibleError(Exception):
    """The plugin was written for another version; the text says which, and what this is."""


def check_api(wanted: str) -> None:
    """`wanted` is a plugin's `kommunevert_api`, such as "1.0". Raises IncompatibleError."""
    found = re.fullmatch(r"(\d+)\.(\d+)", wanted)
    if found is None:
        raise IncompatibleError(f'kommunevert_api = "{wanted}" is no version; "{API_VERSION}" is one')
    major, minor = int(found[1]), int(found[2])
    kernel_task, newest = (int(part) for part in API_VERSION.split("."))
    if major != kernel_task or minor > newest:
        raise IncompatibleError(
            f"it is written for version {wanted} of the plugin interface; this hub has {API_VERSION}, "
            f"and loads plugins written for {kernel_task}.0 to {API_VERSION}"
        )
