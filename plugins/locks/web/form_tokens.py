"""Single-use tokens for forms whose response shows a secret, so that a reload does not create a second one."""

from collections import OrderedDict

from hub.plugin import N_, MistakeError

MAX_USED = 1000


class FormTokens:
    """Each rendered form carries a fresh random token."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, None] = OrderedDict()

    def use(self, token: str) -> None:
        """Raises MistakeError when the form with this token has been sent before."""
        if token in self._used:
            raise MistakeError(N_("This was made before, and was shown once. Fill in the form again for another one."))
        if token:
            self._used[token] = None
            if len(self._used) > MAX_USED:
                self._used.popitem(last=False)
