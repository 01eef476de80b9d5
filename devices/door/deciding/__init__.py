"""Decisions of a door, without I/O: commands, modes of the lock, passages, and trust in the clock."""
