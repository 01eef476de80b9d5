"""Words: translations, the check that none is missing, and what is wrong with a value in plain words."""
