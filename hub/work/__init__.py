"""The kernel's background work."""
