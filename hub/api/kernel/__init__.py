"""The kernel's own operations."""
