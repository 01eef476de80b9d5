"""The outside world: where the hub may call when a setting says so."""
