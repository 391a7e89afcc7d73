"""The files of docs/run.md, as the programs read them that they are for."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.request import urlopen

import pytest

from documents import blocks
from idmerge.server.directory import Directory
from paths import ROOT

PAGE = (ROOT / "docs" / "run.md").read_text(encoding="utf-8")
UNITS = {text.partition("\n")[0].rpartition("/")[2]: text for text in blocks("ini", PAGE)}
"""The files of systemd's by their names, which their first lines state."""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PATIENCE = 60

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    verifier = program("systemd-analyze")
    assert UNITS.keys() >= {"idmerge.socket", "idmerge.service", "backup.conf"}
    for name in ("idmerge.socket", "idmerge.service"):
        unit = UNITS[name].replace("/opt/idmerge/bin/idmerge", sys.executable)
        (tmp_path / name).write_text(unit, encoding="utf-8")
    (tmp_path / "idmerge.service.d").mkdir()
    backup = UNITS["backup.conf"].replace("/usr/bin/rsync", sys.executable)
    (tmp_path / "idmerge.service.d" / "backup.conf").write_text(backup, encoding="utf-8")
    command = [verifier, "verify", str(tmp_path / "idmerge.service"), str(tmp_path / "idmerge.socket")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_takes_the_socket_that_systemd_hands_in(tmp_path: Path) -> None:
    activator = program("systemd-socket-activate")
    [line] = re.findall(r"^ExecStart=(.*)$", UNITS["idmerge.service"], re.MULTILINE)
    words = line.replace("/var/lib/idmerge", str(tmp_path / "shop")).split()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [activator, "-l", f"127.0.0.1:{port}", "-E", "PYTHONPATH", sys.executable, "-m", "idmerge"]
    with subprocess.Popen([*command, *words[1:]], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while "Listening on" not in process.stderr.readline():
                assert process.poll() is None
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
                assert json.load(answer)["status"] == "ok"
            process.send_signal(signal.SIGTERM)  # The activator has become the server.
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    nginx, openssl = program("nginx"), program("openssl")
    [text] = blocks("nginx", PAGE)
    for name in ("fullchain.pem", "privkey.pem"):
        text = text.replace(f"/etc/letsencrypt/live/events.example.com/{name}", str(tmp_path / name))
    made = ["-keyout", str(tmp_path / "privkey.pem"), "-out", str(tmp_path / "fullchain.pem")]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=example.com", *made]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    own = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in TEMPORARY)
    whole = f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{own}{text}\n}}\n"
    (tmp_path / "nginx.conf").write_text(whole, encoding="utf-8")
    command = [nginx, "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def test_caddy_takes_its_configuration(tmp_path: Path) -> None:
    caddy = program("caddy")
    [text] = blocks("caddyfile", PAGE)
    (tmp_path / "Caddyfile").write_text(text, encoding="utf-8")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def test_the_monitor_of_the_page_is_that_of_its_scraper(tmp_path: Path) -> None:
    [settings] = blocks("toml", PAGE)
    Directory.open(tmp_path)
    made = (tmp_path / "idmerge.toml").read_text(encoding="utf-8")
    (tmp_path / "idmerge.toml").write_text(settings + made, encoding="utf-8")
    [monitor] = Directory.open(tmp_path).monitors
    assert [monitor] == tomllib.loads(settings)["monitors"]
    [scraper] = blocks("yaml", PAGE)
    user, password = (re.findall(rf"{key}: (\S+)", scraper)[0] for key in ("username", "password"))
    assert monitor == f"{user}:{password}"
