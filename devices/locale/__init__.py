"""Catalogues of the web apps: `LANGUAGE/LC_MESSAGES/web.po`, whose msgids are plain English."""
