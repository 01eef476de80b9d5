"""The MQTT connection on the loop, for the hub and for devices that are Python programs."""
