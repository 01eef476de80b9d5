"""A serial line, raw, 8 data bits, no parity, 1 stop bit, and nobody else on it."""

import fcntl
import os
import termios
import tty
from typing import Literal

Baud = Literal[9600, 19200, 38400, 57600, 115200, 230400]


def open_serial(port: str, baud: Baud) -> int:
    """A descriptor that does not block. Raises OSError, whose text says what to do where we know."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tty.setraw(descriptor, termios.TCSANOW)
        settings = termios.tcgetattr(descriptor)
        settings[2] = settings[2] & ~(termios.CSTOPB | termios.CRTSCTS) | termios.CLOCAL | termios.CREAD
        settings[4] = settings[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        termios.tcflush(descriptor, termios.TCIOFLUSH)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OSError(f"{port} is in use by another program: stop it first") from error
    except (OSError, termios.error) as error:
        os.close(descriptor)
        raise OSError(f"{port} is no serial line: {error}") from error
    return descriptor
