"""What a device is given when it is enrolled: its account, where the broker is, and the keys that its plugin adds.

A program reads it as a JSON file; a browser gets the same as the fragment of a link
(`/kiosk#device=kiosk-1&secret=…&site=…&root=…`), which browsers never send to a server.
"""

from pathlib import Path

from pydantic import Field

from devices.contract.payload import Id, Payload


class Enrolment(Payload):
    root: str = "kommunevert"
    site: Id
    kind: Id
    device: Id = Field(description="the broker account and client id too (D5)")
    secret: str = Field(repr=False)
    host: str = "127.0.0.1"
    port: int = 1883
    ca_file: Path | None = Field(default=None, description="TLS with this CA; none: no TLS")
    tls: bool = Field(default=False, description="TLS with an authority that the system trusts, unless `ca` is given")
    ca: str | None = Field(default=None, description="TLS with this authority's certificate, PEM")
    hub_key: str | None = Field(
        default=None, description="the hub's Ed25519 verify key, hexadecimal, for what obeys only what is signed"
    )
    hub_key_id: str | None = None
    device_key: str | None = Field(default=None, repr=False, description="the device's own Ed25519 seed, hexadecimal")

    @classmethod
    def read(cls, path: Path) -> "Enrolment":
        """Raises FileNotFoundError, or pydantic.ValidationError that names the field."""
        return cls.model_validate_json(path.read_text())
