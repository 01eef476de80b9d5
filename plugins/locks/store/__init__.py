"""Tables, and the rows of each."""
