"""The templates of found devices' announcements: a part of Jinja that ends in time."""
