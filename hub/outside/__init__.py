"""Outgoing calls: which addresses the hub may connect to."""
