"""Found devices: announced in Home Assistant's MQTT discovery format, with their entities and the entities' history.

Data goes one way: announcement → validated model → entity in the registry; message → value → watchers and history.
"""
