"""Plugins as the kernel sees them: finding, starting, quarantining, and what IT chose. Private."""
