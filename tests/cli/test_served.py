"""A server's directory in the place of a journal: the project that a command takes."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import click
import pytest

from command_line import error_of, run
from idmerge.cli.served import check_project_has_directory, is_served, project_of
from idmerge.errors import SettingError
from idmerge.server.server import Server
from log_records import record

if TYPE_CHECKING:
    from pathlib import Path

ONE = '[[project]]\nname = "shop"\ntoken = "t1"\nsecret = "s1"\n'
TWO = ONE + '[[project]]\nname = "app"\ntoken = "t2"\nsecret = "s2"\n'


def test_the_only_project_is_taken_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "idmerge.toml").write_text(ONE)
    assert project_of(str(tmp_path), None).journal == tmp_path / "ids.idmerge"
    assert capsys.readouterr().err == ""


def test_of_several_projects_the_first_is_taken_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "idmerge.toml").write_text(TWO)
    assert project_of(str(tmp_path), None).name == "shop"
    said = " ".join(capsys.readouterr().err.split())
    assert "has 2 projects; taken is shop, and --project names another" in said
    assert project_of(str(tmp_path), "app").journal == tmp_path / "projects" / "app" / "ids.idmerge"
    with pytest.raises(SettingError, match=r"there is no project 'shpo'. Did you mean 'shop'\?"):
        project_of(str(tmp_path), "shpo")
    with pytest.raises(SettingError, match=r"there is no project 'x'. There are shop, app."):
        project_of(str(tmp_path), "x")


def test_only_a_directory_with_settings_is_a_servers_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "ids.idmerge").write_text("")
    assert not is_served(str(tmp_path))
    assert not is_served(str(tmp_path / "ids.idmerge"))
    assert not is_served("postgresql://localhost/ids")
    with pytest.raises(FileNotFoundError):
        project_of(str(tmp_path), None)
    with pytest.raises(click.UsageError, match="--project is for a server's directory"):
        check_project_has_directory("shop", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["ids.idmerge"]
    for text in ('dialect = "flat"', "[[project]"):
        (tmp_path / "idmerge.toml").write_text(text)
        assert not is_served(str(tmp_path))
    (tmp_path / "idmerge.toml").write_text(ONE)
    assert is_served(str(tmp_path))
    check_project_has_directory("shop", str(tmp_path))


def send(server: Server, project: str, *sent: tuple[str, Any]) -> None:
    for stream, item in sent:
        server.log.append_now([record(item, project=project)._replace(stream=stream)])
    assert server.pipeline.drain(30)


def test_the_profiles_of_a_server_that_runs_are_written(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(f'{ONE}merge-profiles = "fill"\n')
    merge = {"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}
    directory = str(tmp_path)
    with Server(tmp_path) as server:
        send(
            server,
            "shop",
            ("updates", {"$distinct_id": "crm-17", "$set": {"city": "Porto"}}),
            ("events", merge),
            ("updates", {"$distinct_id": "crm-17", "$set": {"plan": "pro"}}),
        )
        before = {path.name: path.read_bytes() for path in (tmp_path / "profiles").iterdir()}
        shown = run("profiles", directory)
        assert {path.name: path.read_bytes() for path in (tmp_path / "profiles").iterdir()} == before
    assert rows(shown.stdout) == [{"distinct_id": "ana", "plan": "pro", "city": "Porto"}]
    assert "1 shown, 1 hidden (fill)" in shown.stderr
    hidden = run("profiles", directory, "--merge-profiles", "hide", "-o", str(tmp_path / "people.csv"))
    assert rows((tmp_path / "people.csv").read_text()) == [{"distinct_id": "ana", "plan": "pro"}]
    assert "1 shown, 1 hidden (hide)" in hidden.stderr


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_of_several_projects_the_named_one_is_written(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(TWO)
    with Server(tmp_path) as server:
        send(server, "app", ("updates", {"$distinct_id": "ben", "$set": {"plan": "free"}}))
    assert rows(run("profiles", str(tmp_path), "--project", "app").stdout) == [
        {"distinct_id": "ben", "plan": "free"}
    ]
    first = run("profiles", str(tmp_path))
    assert rows(first.stdout) == []
    assert "taken is shop" in first.stderr


def test_a_servers_directory_is_named_alone(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(ONE)
    directory = str(tmp_path)
    assert "name it alone" in error_of("profiles", directory, directory, code=2)
    wrong = error_of("profiles", directory, "--sort", "--store", "x", "--api", "simplified", code=2)
    assert "leave out --store, --api, --sort" in wrong
    (tmp_path / "updates.ndjson").write_text("")
    wrong = error_of("profiles", str(tmp_path / "updates.ndjson"), "--project", "shop", code=2)
    assert "--project is for a server's directory" in wrong
    assert "ids.idmerge" in error_of("profiles", directory)  # Its server has never run.
