"""Forms whose answer shows a secret: sent again, as when a page is loaded anew, they make no second one."""

from collections import OrderedDict

from hub.plugin import N_
from plugins.locks.mistakes import MistakeError

MOST_USED = 1000


class Once:
    """Each form that is shown carries a fresh word."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, None] = OrderedDict()

    def use(self, word: str) -> None:
        """Raises MistakeError when the form with this word has been sent before."""
        if word in self._used:
            raise MistakeError(N_("This was made before, and was shown once. Fill in the form again for another one."))
        if word:
            self._used[word] = None
            if len(self._used) > MOST_USED:
                self._used.popitem(last=False)
