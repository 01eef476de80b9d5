"""The plugins that come with Kommunevert, one folder each. They know the hub, never each other."""
