"""Pairing a device by its code."""
