"""What people see and touch: Debian's chromium against the real hub, broker, mail server and door controller."""
