"""The site's calendar: when it or a service is open, public holidays, and days on which other hours hold."""
