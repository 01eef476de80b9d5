"""Readers that hang on wires: OSDP with Secure Channel, Wiegand, and codes by a serial line or as a keyboard."""
