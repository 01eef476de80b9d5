"""Sends one message to one chat, by apprise. Blocking: call it in a thread."""

import apprise

ASSET = apprise.AppriseAsset(app_id="Kommunevert", app_desc="Kommunevert", image_url_mask=None)


def is_one(address: str) -> bool:
    """Whether this is exactly one address: several would be sent in threads and share one result."""
    sending = apprise.Apprise()
    return sending.add(address) and len(sending) == 1


def send(address: str, title: str, text: str) -> bool:
    """Whether the chat accepted it."""
    sending = apprise.Apprise(asset=ASSET)
    sending.add(address)
    return bool(sending.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT))
