"""What a municipality runs: https and wss on one origin, a broker of its own, the commands around it."""

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.raw_mqtt import RawClient
from devices.contract.enrolment import Enrolment
from hub.broker.tls import make_certificates
from tests.conftest import needs, running_hub, until, write_configuration
from tests.kiosk_client import KioskClient
from tests.ports import free_port


def command(*arguments: str | Path, said: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, input=said,
    )  # fmt: skip


async def test_pages_and_mqtt_on_one_origin_over_tls(settings: dict[str, Any], tmp_path: Path) -> None:
    made = command("tls", "init", "localhost", "127.0.0.1", "--out", tmp_path / "tls")
    assert made.returncode == 0, made.stderr
    assert oct((tmp_path / "tls" / "server-key.pem").stat().st_mode)[-3:] == "600"
    settings["web"]["tls"] = {"certificate": "tls/server.pem", "key": "tls/server-key.pem"}
    trusted = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
    async with running_hub(settings, tmp_path) as hub, aiohttp.ClientSession() as browser:
        address = hub.settings.web.address
        assert address.startswith("https://")
        async with browser.get(f"{address}/kiosk", ssl=trusted) as page:
            assert page.status == 200
            assert "max-age" in page.headers["Strict-Transport-Security"]
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await browser.get(f"{address}/kiosk")
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        assert await connack(browser, address, enrolment, trusted) == 0
        wrong = enrolment.model_copy(update={"secret": "wrong"})
        assert await connack(browser, address, wrong, trusted) in (5, None)


async def connack(
    browser: aiohttp.ClientSession, address: str, enrolment: Enrolment, tls: ssl.SSLContext
) -> int | None:
    """The broker's answer, through the page's own origin: 0 is welcome."""
    hello = RawClient(enrolment.device, enrolment.secret, "x", lambda _: None)._hello
    async with browser.ws_connect(f"{address}/mqtt", protocols=("mqtt",), ssl=tls) as socket:
        await socket.send_bytes(hello)
        answer = await socket.receive(10)
        return answer.data[3] if answer.type is aiohttp.WSMsgType.BINARY else None


def test_an_authority_is_kept_and_its_server_certificate_renewed(tmp_path: Path) -> None:
    first = make_certificates(tmp_path, ["a.example"])
    authority, server = first["ca"].read_bytes(), first["server"].read_bytes()
    again = make_certificates(tmp_path, ["b.example"])
    assert again["ca"].read_bytes() == authority
    assert again["server"].read_bytes() != server


async def test_a_broker_of_the_municipalitys_own(settings: dict[str, Any], tmp_path: Path) -> None:
    """Its accounts come by files; it may be away at first, and go and come back."""
    program = needs("mosquitto")
    port = free_port()
    (tmp_path / "broker.secret").write_text("a secret of the hub")
    settings["broker"] = {
        "kind": "external", "host": "127.0.0.1", "port": port,
        "secret_file": "broker.secret", "accounts_dir": "accounts",
    }  # fmt: skip
    config = write_configuration(settings, tmp_path / "kommunevert.yaml")
    added = command("device", "add", "kiosk-1", "--kind", "kiosk", "--config", config)
    assert added.returncode == 0, added.stderr
    secret = added.stdout.split("secret=")[1].split("&")[0]
    assert command("broker", "accounts", "--config", config).returncode == 0
    root = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nuse_username_as_clientid true\nallow_anonymous false\nset_tcp_nodelay true\n{root}"
        f"password_file {tmp_path}/accounts/passwords\nacl_file {tmp_path}/accounts/acl\n"
    )

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            program, "-c", tmp_path / "mosquitto.conf", stderr=asyncio.subprocess.DEVNULL
        )

    broker = await start()
    try:
        async with running_hub(settings, tmp_path) as hub:
            enrolment = Enrolment(site="test", kind="kiosk", device="kiosk-1", secret=secret, port=port)
            async with KioskClient(enrolment).connected() as client:
                assert (await client.search("kari")).hosts
                broker.kill()
                await broker.wait()
                await until(lambda: hub.problems()["mqtt"])
                assert str(port) in str(await until(lambda: hub.mqtt.wire and hub.mqtt.wire.problem))
                broker = await start()
                await until(lambda: hub.problems()["mqtt"] is None, 30)
                await until(lambda: client.wire.connected, 30)
                assert (await client.search("kari")).hosts
    finally:
        if broker.returncode is None:
            broker.kill()
        await broker.wait()


async def test_users_are_added_on_the_command_line(settings: dict[str, Any], tmp_path: Path) -> None:
    config = write_configuration(settings, tmp_path / "kommunevert.yaml")
    assert command("user", "add", "kari", "--role", "it", "--config", config, said="short\n").returncode == 1
    good = command("user", "add", "kari", "--role", "it", "--config", config, said="long enough\n")
    assert good.returncode == 0, good.stderr
    async with running_hub(settings, tmp_path) as hub:
        login = await hub.accounts.check("kari", "long enough")
        assert login is not None
        assert login.roles == {"it"}


@pytest.mark.parametrize("hostile", ["evil\ntopic readwrite #", "a b", "", "../x", "#"])
async def test_a_device_id_that_could_break_the_access_list_is_refused(
    settings: dict[str, Any], tmp_path: Path, hostile: str
) -> None:
    config = write_configuration(settings, tmp_path / "kommunevert.yaml")
    done = command("device", "add", hostile, "--kind", "kiosk", "--config", config)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "broker" / "acl").exists()
