"""The hardware of a door as its controller sees it, and one that exists only here."""
