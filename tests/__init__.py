"""What crosses plugins: contract, end to end, faults, browsers."""
