"""For developers: `kommunevert plugin new` and `check`, and the documents that are committed."""
