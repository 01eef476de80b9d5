"""Devices that announce themselves in Home Assistant's MQTT discovery format, their entities, and what those were.

A message goes one way: announcement → validated model → entity in the registry; state → value → watchers, history.
"""
