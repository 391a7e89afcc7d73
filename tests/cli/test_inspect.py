"""``idmerge inspect`` as a process: its link, who gets in, what it changes, and its end."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

from command_line import error_of, ndjson, run
from idmerge import DurableResolver
from idmerge.server.server import Server
from live_server import PATIENCE, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals end it")
SHOP = Path(__file__).parents[2] / "examples" / "shop.ndjson"


class Visitor:
    """A browser without a window."""

    def __init__(self, link: str) -> None:
        self.link = urlsplit(link)
        self.cookie = ""

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
        """Return the status and the text of an answer; one that leads on is followed."""
        assert self.link.hostname is not None
        connection = http.client.HTTPConnection(self.link.hostname, self.link.port, timeout=PATIENCE)
        sent = {"Cookie": self.cookie, "Accept": "text/html", **headers}
        if form is not None:
            sent |= {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": f"http://{self.link.netloc}",
            }
        connection.request("GET" if form is None else "POST", path, form and urlencode(form), sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        if cookie := answer.getheader("Set-Cookie"):
            self.cookie = cookie.split(";")[0]
        connection.close()
        if answer.status == 303:
            return self.ask(str(answer.getheader("Location")))
        return answer.status, text

    def enter(self) -> tuple[int, str]:
        """Open the link, and go on."""
        status, text = self.ask(f"{self.link.path}?{self.link.query}")
        return (status, text) if status != 200 else self.ask("/")

    def send(self, page: str, action: str, **form: str) -> tuple[int, str]:
        """Send a form with the fields that a page's form has."""
        _, html = self.ask(page)
        found = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', html))
        return self.ask(action, found | form)


@contextmanager
def inspecting(
    *arguments: object, code: int = 0, stdin: bytes = b""
) -> Iterator[tuple[Visitor, dict[str, Any]]]:
    """Run the command until the block ends; then it must end in order."""
    command = [sys.executable, "-m", "idmerge", "inspect", *map(str, arguments), "--json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(stdin)
        process.stdin.close()
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.stderr.read().decode())
        found = json.loads(line)
        try:
            yield Visitor(found["url"]), found
        except BaseException:
            process.kill()
            raise
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == code
        assert b"Traceback" not in process.stderr.read()


def test_the_link_lets_in_one_browser_and_everyone_else_stays_out() -> None:
    with inspecting(SHOP) as (visitor, found):
        assert urlsplit(found["url"]).hostname == "127.0.0.1"
        other = Visitor(found["url"])
        assert other.ask("/")[0] == 403
        assert other.ask("/inspect/person?id=user-1013")[0] == 403
        assert other.ask("/inspect/open?ticket=")[0] == 403
        assert other.ask("/inspect/open?ticket=guess")[0] == 403
        assert other.ask("/inspect/sign-in", {"secret": ""})[0] == 403
        assert visitor.enter()[0] == 200
        assert visitor.enter()[0] == 200  # It is in already.
        assert other.enter()[0] == 403
        status, page = visitor.ask("/inspect/person?id=user-1013")
        assert (status, "user-1013" in page) == (200, True)


def test_a_browser_is_opened_by_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\ncp "${{1#file://}}" {tmp_path}/opened\necho "$1" > {tmp_path}/called\n')
    browser.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER", f"{browser} %s")
        with inspecting(SHOP, "--open") as (_, found):
            deadline = time.monotonic() + PATIENCE
            while not (tmp_path / "called").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert found["url"] in (tmp_path / "opened").read_text()
            called = (tmp_path / "called").read_text().strip()
            assert "ticket" not in called
            place = Path(called.removeprefix("file://")).parent
            assert place.stat().st_mode & 0o077 == 0


def test_events_are_not_taken_and_other_paths_are_not_there() -> None:
    with inspecting(SHOP) as (visitor, _):
        for path in ("/track", "/import", "/engage", "/v1/batch", "/api/ids", "/health", "/metrics", "/x"):
            assert visitor.ask(path)[0] == 404, path
            assert visitor.ask(path, {"data": "[]"})[0] == 404, path


def test_what_was_read_is_what_resolve_reads(tmp_path: Path) -> None:
    resolved = json.loads(run("resolve", SHOP, "--json", "-q", "-o", tmp_path / "m.csv").stdout)
    with inspecting(SHOP, "--canonical", "smallest", "--max-cluster-size", "3") as (_, found):
        limited = json.loads(
            run("resolve", SHOP, "--json", "-q", "--max-cluster-size", "3", "-o", tmp_path / "m.csv").stdout
        )
        for key in ("files", "events", "malformed", "links", "rejected", "outcomes"):
            assert found[key] == limited[key], key
    assert limited["outcomes"] != resolved["outcomes"]


def test_a_directory_goes_at_the_end_or_stays_where_it_is_wanted(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = dict(os.environ)
    os.environ["TMPDIR"] = str(temporary)
    try:
        with inspecting(SHOP) as (visitor, _):
            visitor.enter()
            assert len(list(temporary.iterdir())) == 1
            assert (next(temporary.iterdir()).stat().st_mode & 0o077) == 0
    finally:
        os.environ.clear()
        os.environ.update(environment)
    assert not list(temporary.iterdir())
    with inspecting(SHOP, "--into", tmp_path / "kept") as (visitor, found):
        assert found["directory"] == str(tmp_path / "kept")
        visitor.enter()
        link = "/inspect/undo?position=0"
        assert visitor.send(link, "/inspect/undo")[0] == 200
    with Server(tmp_path / "kept") as server:
        resolver = server.resolver(server.projects[0].name)
        kept = resolver.position
        assert resolver.changes(kept - 1).num_rows > 0
    with inspecting(tmp_path / "kept") as (visitor, found):
        assert (found["kind"], found["read_only"], found["events"]) == ("directory", False, 0)
        assert visitor.enter()[0] == 200
        assert visitor.send(f"/inspect/undo?position={kept - 1}", "/inspect/undo")[0] == 200
    with Server(tmp_path / "kept") as server:
        resolver = server.resolver(server.projects[0].name)
        assert resolver.position == kept + 1


def test_nothing_is_left_of_a_strict_run_that_stops(tmp_path: Path) -> None:
    assert "shop.ndjson:" in error_of("inspect", SHOP, "--strict", "--into", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_journal_is_changed_and_is_only_read_while_it_has_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "ids.idmerge"
    with DurableResolver.open(path) as resolver:
        resolver.merge("ana", "phone"), resolver.merge("phone", "crm-17"), resolver.commit()
    with inspecting(path) as (visitor, found):
        assert (found["kind"], found["read_only"]) == ("journal", False)
        visitor.enter()
        assert visitor.ask("/inspect/person?id=crm-17")[0] == 200
        assert visitor.send("/inspect/undo?position=1&a=phone&b=crm-17", "/inspect/undo")[0] == 200
        assert visitor.send("/inspect/apart?a=ana&b=eve", "/inspect/apart")[0] == 200
        assert (
            visitor.send("/inspect/undo?position=99", "/inspect/undo", position="99", expected="")[0] == 400
        )
        status, text = visitor.send("/inspect/forget?id=phone", "/inspect/forget", typed="phone")
        assert (status, "is forgotten" in text) == (200, True)
        # A writer has the journal: another command cannot have it too.
        assert "one writer at a time" in error_of("retract", "0", path)
    with DurableResolver.open(path) as resolver:
        assert ("phone" in resolver, resolver.same("ana", "eve")) == (False, False)
        assert resolver.position == 5
        with inspecting(path) as (visitor, found):
            assert found["read_only"]
            assert "only read" in found["notes"][0]
            visitor.enter()
            resolver.merge("new", "newer"), resolver.commit()
            status, text = visitor.ask("/inspect/person?id=newer")
            assert (status, "newer" in text) == (200, True)
            assert visitor.ask("/inspect/undo", {"csrf": "x", "position": "0"})[0] == 403
            _, page = visitor.ask("/inspect/why?id=new&other=newer")
            assert "Take back" not in page
            position = resolver.position
            resolver.retract(position - 1), resolver.commit()
            resolver.compact()
            status, text = visitor.ask("/inspect/person?id=ana")
            assert status == 200
    with inspecting(path, "--read-only") as (visitor, found):
        assert (found["read_only"], found["notes"]) == (True, [])
        visitor.enter()
        assert visitor.send("/", "/inspect/apart", a="ana", b="dan")[0] == 403
        assert visitor.ask("/inspect/undo?position=0")[0] == 403


def test_a_directory_is_shown_while_its_server_runs(tmp_path: Path) -> None:
    place = tmp_path / "served"
    with serving(place, "--port", "0") as served:
        _send(served, [_merge("ana", "phone"), {"event": "Buy", "properties": {"distinct_id": "phone"}}])
        served.settled()
        with inspecting(place) as (visitor, found):
            assert (found["kind"], found["read_only"], found["name"]) == ("directory", True, "main")
            assert "only read" in found["notes"][0]
            visitor.enter()
            assert visitor.ask("/inspect/person?id=phone")[0] == 200
            _send(served, [_merge("phone", "crm-17")])
            served.settled()
            status, text = visitor.ask("/inspect/why?id=ana&other=crm-17")
            assert (status, "are one person" in text) == (200, True)
            assert "events under this ID" in visitor.ask("/inspect/forget?id=phone")[1]
            assert visitor.send("/", "/inspect/apart", a="ana", b="dan")[0] == 403
        assert served.cluster("ana") == ["ana", "crm-17", "phone"]
    with inspecting(place, "--project", "main") as (visitor, found):
        assert not found["read_only"]
        visitor.enter()
        assert visitor.send("/inspect/undo?position=0&a=ana&b=phone", "/inspect/undo")[0] == 200
    with serving(place, "--port", "0") as served:
        assert served.cluster("phone") == ["crm-17", "phone"]


def _merge(a: str, b: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [a, b], "time": int(time.time())}}


def _send(served: Any, events: list[dict[str, Any]]) -> None:
    for number, event in enumerate(events):
        event["properties"] |= {"$insert_id": f"i{number}", "time": int(time.time())}
    key = base64.b64encode(f"{served.secret}:".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=PATIENCE)
    connection.request("POST", "/import", json.dumps(events), headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_standard_input_and_several_files_are_read(tmp_path: Path) -> None:
    lines = ndjson([_merge("a", "b")])
    (tmp_path / "links.csv").write_text("kind,first,second\nmerge,b,c\n")
    with inspecting("-", tmp_path / "links.csv", stdin=lines) as (visitor, found):
        assert (found["files"], found["links"], found["events"]) == (2, 2, 1)
        visitor.enter()
        assert "are one person" in visitor.ask("/inspect/why?id=a&other=c")[1]


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["ids.idmerge", "e.ndjson"], "'ids.idmerge' is a journal; name it alone"),
        (["ids.idmerge", "--sort"], "--sort is for files of events"),
        (["ids.idmerge", "--into", "x"], "--into is for files of events"),
        (["ids.idmerge", "--max-cluster-size", "3"], "leave out their options"),
        (["ids.idmerge", "--project", "main"], "--project is for a server's directory"),
        (["e.ndjson", "--project", "main"], "--project is for a server's directory"),
        (["e.ndjson", "--into", "."], "--into needs a new directory"),
    ],
)
def test_wrong_calls(
    arguments: list[str], wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SHOP, "e.ndjson")
    DurableResolver.open("ids.idmerge").close()
    assert wrong in error_of("inspect", *arguments, code=2)


def test_a_damaged_journal_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ids.idmerge"
    with DurableResolver.open(path) as resolver:
        resolver.merge("ana", "phone"), resolver.commit()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    assert "ids.idmerge" in error_of("inspect", path)


def checked(visitor: Visitor) -> str:
    """Return the page of a check-up that has come to its end."""
    deadline = time.monotonic() + PATIENCE
    while "Being made since" in (page := visitor.ask("/inspect/check-up")[1]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return page


def test_the_check_up_is_that_of_the_doctor(tmp_path: Path) -> None:
    findings = json.loads(run("doctor", SHOP, "--json").stdout)["findings"]
    # Events that come twice are in a directory once.
    found = [one["title"] for one in findings if one["code"] != "duplicate-events"]
    assert len(found) > 3
    with inspecting(SHOP) as (visitor, _):
        visitor.enter()
        page = unescape(checked(visitor))
        assert [title for title in found if f"<h3>{title}</h3>" not in page] == []
        assert found[0] in unescape(visitor.ask("/")[1])
    journal = tmp_path / "ids.idmerge"
    run("resolve", SHOP, "--journal", journal)
    found = [finding["title"] for finding in json.loads(run("doctor", journal, "--json").stdout)["findings"]]
    with inspecting(journal) as (visitor, _):
        visitor.enter()
        page = unescape(checked(visitor))
        assert [title for title in found if f"<h3>{title}</h3>" not in page] == []
