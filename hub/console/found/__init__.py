"""Found devices and their entities."""
