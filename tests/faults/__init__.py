"""Kill, restart, repeat: what must hold whatever happens (I1, I2, I5)."""
