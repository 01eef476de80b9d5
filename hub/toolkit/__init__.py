"""For developers: `kommunevert plugin new` and `check`, and the committed API documents."""
