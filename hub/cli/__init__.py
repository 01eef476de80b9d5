"""The command `kommunevert`."""
