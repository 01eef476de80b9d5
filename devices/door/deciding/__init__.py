"""Decisions of a door, without I/O: whether a command counts, how the lock stands, what the clock is good for."""
