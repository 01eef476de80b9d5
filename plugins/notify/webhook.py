"""One message to one chat, by apprise. It blocks: call it in a thread."""

import apprise

ASSET = apprise.AppriseAsset(app_id="Kommunevert", app_desc="Kommunevert", image_url_mask=None)


def is_one(address: str) -> bool:
    """Several at once would be sent in threads that nobody looks at (hub.outside), and have one state for all."""
    sending = apprise.Apprise()
    return sending.add(address) and len(sending) == 1


def send(address: str, title: str, text: str) -> bool:
    """Whether the chat took it."""
    sending = apprise.Apprise(asset=ASSET)
    sending.add(address)
    return bool(sending.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT))
