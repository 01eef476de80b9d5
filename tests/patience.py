"""How long a test waits for what should come at once.

It tells a broken program from one that works, and measures nothing: other programs may have the machine, and a test
that is red for their sake is not believed the next time. What measures time is marked `alone`.
"""

PATIENCE_SECONDS = 30.0
