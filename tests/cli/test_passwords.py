"""Passwords in URLs of journals: they are in no output of any command, option or function."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import idmerge
from every_command import Parameter, parameters
from idmerge import DurableResolver, Profiles, Resolver, StitchedEvents, doctor, questions
from idmerge._naming import check_local, named, without_secrets
from idmerge.cli.group import commands
from idmerge.files import read, replacing, scan
from idmerge.journal.verify import Verdict, salvage, verify
from postgres_server import Server, running_server

SECRET = ("zq7", "zq8", "zq9")
"""Parts of the password, one of which is in whatever shows a part of it."""
ENCODED = "zq7%40zq8%2Fzq9"
URLS = [
    f"postgresql://user:{ENCODED}@127.0.0.1:1/db",
    f"POSTGRES://user:{ENCODED}@127.0.0.1:1/db",
    f"postgresql://127.0.0.1:1/db?user=x&password={ENCODED}",
    f"postgres://127.0.0.1:1/db?sslpassword={ENCODED}&sslmode=require",
    f"postgresql://user:{ENCODED}@127.0.0.1:1,127.0.0.1:2/db?target_session_attrs=any",
    f"postgresql:///?service=none-such&password={ENCODED}",
    "postgresql://user:zq7@zq8/zq9@127.0.0.1:1/db",
    "postgresql://user:zq7/zq8@127.0.0.1:1/db",
    "postgresql://user:zq7 zq8 'zq9\"@127.0.0.1:1/db",
    "postgresql://user:zq7#zq8=zq9@127.0.0.1:1/db",
    "postgresql://user:zq7\n\x1b[31mzq8@127.0.0.1:1/db",
    "postgresql://user%3Azq7@127.0.0.1:1/db",
    "postgresql://user:zq7%zq8@127.0.0.1:1/db",
    "postgresql://user:zq7",
    f"postgresql://127.0.0.1:1/db&password={ENCODED}",
    f"postgresql://127.0.0.1:1/db?sslmode=require%26password={ENCODED}",
    f"postgresql://user:{ENCODED}@127.0.0.1:port/db",
    f"postgresql+psycopg://user:{ENCODED}@127.0.0.1:1/db",
    f"jdbc:postgresql://127.0.0.1:1/db?user=x&password={ENCODED}",
    f"postgresql:/user:{ENCODED}@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 user=x password='zq7 zq8'",
    "sslpassword = zq7 service=none-such",
]
SUFFIXES = ("", ".csv", ".html", ".svg", ".ndjson")
"""A command may look at what a path ends with before anything else."""
EVENTS = [
    {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"], "time": 1}},
    {"event": "Sign Up", "properties": {"distinct_id": "a", "time": 2, "$insert_id": "i"}},
]
OF_A_PATH = [parameter for parameter in parameters() if parameter.takes_path]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of events, updates and a journal, made once."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "e.ndjson").write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS), encoding="utf-8")
    update = '{"$distinct_id": "a", "$set": {"name": "Ada"}}\n'
    (folder / "u.ndjson").write_text(update, encoding="utf-8")
    merge(folder / "ids.idmerge")
    return folder


@pytest.fixture
def in_a_folder_with_events(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


in_the_folder = pytest.mark.usefixtures("in_a_folder_with_events")


def merge(journal: Any) -> None:
    with DurableResolver.open(journal) as resolver:
        resolver.merge("a", "b")
        resolver.commit()


def run(call: list[str]) -> Result:
    return CliRunner().invoke(commands, call, prog_name="idmerge")


def told_by(result: Result) -> str:
    if result.exception is None or isinstance(result.exception, SystemExit):
        return f"{result.stdout}\n{result.stderr}"
    return f"{result.output}\n{''.join(traceback.format_exception(result.exception))}"


def written() -> Iterator[tuple[str, bytes]]:
    for path in Path().rglob("*"):
        yield str(path), path.read_bytes() if path.is_file() else b""


def leaks(text: str) -> list[str]:
    return [part for part in SECRET if part in text]


def check(call: list[str]) -> None:
    result = run(call)
    told = told_by(result)
    assert not leaks(told), (call, told)
    assert isinstance(result.exception, SystemExit | None), (call, told)
    for name, content in written():
        assert not leaks(name), (call, name)
        assert not leaks(content.decode("latin-1")), (call, name)


# The command line.


def test_the_commands_that_take_paths_are_found() -> None:
    found = {(*parameter.command, parameter.flag) for parameter in OF_A_PATH}
    assert found >= {
        ("resolve", None),
        ("resolve", "--journal"),
        ("resolve", "--output"),
        ("resolve", "--rejected"),
        ("resolve", "--blocked-ids"),
        ("stitch", "--output"),
        ("stitch", "--journal"),
        ("profiles", "--events"),
        ("profiles", "--store"),
        ("doctor", "--profiles"),
        ("ask", "signup-rate", "--chart"),
        ("bench", "--output"),
        ("verify", "--salvage"),
        ("verify", None),
        ("why", "--html"),
    }


@in_the_folder
@pytest.mark.parametrize("parameter", OF_A_PATH, ids=str)
def test_no_command_shows_the_password_of_a_url_where_it_takes_a_path(parameter: Parameter) -> None:
    for number, url in enumerate(URLS):
        ways = [call for suffix in SUFFIXES for call in parameter.calls(url + suffix)]
        for call in ways if number == 0 else ways[-1:]:
            check(call)


@in_the_folder
@pytest.mark.parametrize("parameter", [p for p in parameters() if not p.takes_path], ids=str)
def test_no_message_shows_the_password_of_a_url_where_no_path_is_taken(parameter: Parameter) -> None:
    for url in (URLS[0], URLS[6], URLS[8], URLS[9], URLS[20]):
        for call in parameter.calls(url):
            told = run(call).stderr
            assert not leaks(told), (call, told)


@in_the_folder
@pytest.mark.parametrize("url", URLS)
def test_no_usage_error_shows_the_password_of_a_url(url: str) -> None:
    for call in ([url], [f"--{url}"], [f"-{url}"], ["journal", "ids.idmerge", url], ["journal", f"--{url}"]):
        check(call)
    for call in (["ask", url], ["why", "a", url, "b", url], ["show", url, "e.ndjson", f"--as-of={url}"]):
        check(call)


@in_the_folder
@pytest.mark.parametrize("parameter", OF_A_PATH, ids=str)
def test_no_command_shows_the_password_of_a_journal_that_it_reaches(
    server: Server, parameter: Parameter
) -> None:
    def url_of(schema: str) -> str:
        login = f"postgres:{ENCODED}"  # Whoever comes by TCP is trusted.
        return f"postgresql://{login}@127.0.0.1:{server.port}/postgres?options=-csearch_path%3D{schema}"

    url = url_of(server.new_schema())
    merge(url)
    check(parameter.calls(url)[0])


@in_the_folder
@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_the_doctor_names_a_journal_without_its_password(server: Server, form: str) -> None:
    url = f"postgresql://postgres:{ENCODED}@127.0.0.1:{server.port}/postgres"
    merge(url)
    result = run(["doctor", url, "--format", form])
    assert result.exit_code == 0, result.output
    assert f"postgresql://postgres@127.0.0.1:{server.port}/postgres" in result.stdout
    assert not leaks(result.stdout)


def test_a_journal_is_named_where_the_url_can_be_read_in_one_way_only() -> None:
    assert (
        named(f"postgresql://me:{ENCODED}@db.example:5432/ids?x=y") == "postgresql://me@db.example:5432/ids"
    )
    assert named("postgresql://me:zq7@zq8@db.example/ids") == "postgresql://…"
    assert named("/var/lib/postgresql/ids.idmerge") == "/var/lib/postgresql/ids.idmerge"
    assert named("raw/date=2026-01-01/a b.csv") == "raw/date=2026-01-01/a b.csv"
    for url in URLS:
        assert not leaks(named(url))
        assert not leaks(named(f"/some/where/{url}"))


@pytest.mark.parametrize(
    "path",
    [
        "mapping-postgres-2026-11-28T16:56:00.csv",
        "out/postgres:16/ids.csv",
        "bypass=1.parquet",
        "compass=n.csv",
        "stitched/pass=*/*.parquet",
        "host_name=3/event_name=a/x.parquet",
        "bypass=1.idmerge",
        "a//b.csv",
    ],
)
def test_a_path_in_which_a_url_or_a_password_could_be_seen_is_a_path(path: str) -> None:
    check_local(path)
    check_local(Path(path))


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_no_path_wherever_a_part_of_one_begins_with_it(url: str) -> None:
    for suffix in SUFFIXES:
        for text in (url + suffix, f"./{url}{suffix}", f"/some/where/{url}{suffix}"):
            for path in (text, Path(text)):
                with pytest.raises(FileNotFoundError, match="a URL or a connection string"):
                    check_local(path)


def test_no_part_of_a_password_is_left_in_what_others_wrote() -> None:
    for url in ("postgresql://u:zq7 zq8@h/db", "postgres://u:zq7'zq8\"zq9@h/db"):
        assert not leaks(without_secrets(f"cannot open {url}: nope", []))
    both = "see postgresql://u@h/db, or postgres://v:zq7@k/e: gone; ask me@example.com"
    assert (
        without_secrets(both, []) == "see postgresql://u@h/db, or postgres://v@k/e: gone; ask me@example.com"
    )


# Functions.


def saved(url: Any) -> None:
    Profiles(Resolver()).save(url)


def stitched(url: Any) -> None:
    events = StitchedEvents(["e.ndjson"], Resolver())
    events.learn()
    events.write(url)


def salvaged(url: Any) -> None:
    salvage("ids.idmerge", url, Verdict(batches=1, position=1, ids=2, offsets={}, damage="some"))


def replaced(url: Any) -> None:
    with replacing(str(url)):
        pass


@cache
def answer() -> Any:
    return questions.signup_rate(idmerge.stitch("e.ndjson"))


def drawn(url: Any) -> None:
    answer().chart(url)


FUNCTIONS: list[Callable[[Any], Any]] = [
    DurableResolver.open,
    lambda url: DurableResolver.open(url, read_only=True),
    lambda url: DurableResolver.open(url, create=False),
    verify,
    salvaged,
    lambda url: salvage(url, "new.idmerge", Verdict(batches=1, position=1, ids=2, offsets={}, damage="some")),
    idmerge.stitch,
    lambda url: idmerge.stitch([url, "e.ndjson"]),
    lambda url: idmerge.stitch("e.ndjson", output=url),
    stitched,
    replaced,
    lambda url: list(read(url)),
    lambda url: list(scan(url)),
    doctor.examine,
    lambda url: doctor.examine("e.ndjson", profiles=url),
    doctor.examine_journal,
    lambda url: Profiles.load(url, Resolver()),
    saved,
    questions.signup_rate,
    drawn,
]


@in_the_folder
@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
@pytest.mark.parametrize("kind", [str, Path])
def test_no_function_shows_the_password_of_a_url(number: int, kind: Callable[[str], Any]) -> None:
    for url in URLS:
        with pytest.raises((OSError, ValueError, TypeError, ImportError)) as raised:
            FUNCTIONS[number](kind(url))
        told = "".join(traceback.format_exception(raised.value))
        assert not leaks(told), (url, told)
    assert not leaks(" ".join(name for name, _ in written()))
