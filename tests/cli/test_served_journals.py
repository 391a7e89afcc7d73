"""Commands about a journal, asked of a server's directory while the server runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from command_line import error_of, run
from idmerge.server.server import Server
from log_records import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """\
[[project]]
name = "shop"
token = "t1"
secret = "s1"

[[project]]
name = "news"
token = "t2"
secret = "s2"
"""
CALLS = {
    "changes": ["changes", "DIR", "--since", "0"],
    "journal": ["journal", "DIR"],
    "mapping": ["mapping", "DIR"],
    "show": ["show", "ana", "DIR"],
    "why": ["why", "ana", "crm-17", "DIR"],
}


def merge(first: str, second: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [first, second]}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("served")
    (path / "idmerge.toml").write_text(SETTINGS, encoding="utf-8")
    with Server(path) as server:
        server.log.append_now(
            [record(merge("ana", "crm-17"), project="shop"), record(merge("ana", "ben"), project="news")]
        )
        assert server.pipeline.drain(60)
        yield path


def called(command: str, directory: object, *more: str) -> list[str]:
    return [*(str(directory) if word == "DIR" else word for word in CALLS[command]), *more]


@pytest.mark.parametrize("command", CALLS)
def test_a_command_on_the_directory_answers_as_on_the_journal_of_its_first_project(
    command: str, directory: Path
) -> None:
    found = run(*called(command, directory))
    assert found.stdout == run(*called(command, directory / "ids.idmerge")).stdout
    assert found.stdout
    assert "taken is shop, and --project names another" in found.stderr
    assert found.stdout == run(*called(command, directory, "--project", "shop")).stdout


@pytest.mark.parametrize("command", CALLS.keys() - {"why"})
def test_a_project_is_named(command: str, directory: Path) -> None:
    found = run(*called(command, directory, "--project", "news"))
    journal = directory / "projects" / "news" / "ids.idmerge"
    assert found.stdout == run(*called(command, journal)).stdout
    assert "crm-17" not in found.stdout
    assert "taken is" not in found.stderr


@pytest.mark.parametrize("command", CALLS)
def test_what_is_no_project_is_an_error_in_one_line(command: str, directory: Path, tmp_path: Path) -> None:
    message = error_of(*called(command, directory, "--project", "nwes"))
    assert message == f"{directory / 'idmerge.toml'}: there is no project 'nwes'. Did you mean 'news'?"
    journal = directory / "ids.idmerge"
    message = error_of(*called(command, journal, "--project", "shop"), code=2)
    assert message == f"--project is for a server's directory, and '{journal}' is none"
    (tmp_path / "idmerge.toml").write_text("[[project]]\nname = 7\n", encoding="utf-8")
    assert "project 1: name must be" in error_of(*called(command, tmp_path))


@pytest.mark.parametrize("command", CALLS.keys() - {"show"})  # Which reads a directory of events.
def test_a_directory_without_settings_is_no_servers(command: str, tmp_path: Path) -> None:
    wrong = f"'{tmp_path}' is neither a journal nor a server's directory: "
    assert error_of(*called(command, tmp_path), code=2).startswith(wrong)


def test_a_cluster_of_files_is_shown_beside_a_configuration_as_before(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text('dialect = "mixpanel"\n', encoding="utf-8")
    (tmp_path / "e.ndjson").write_text(json.dumps(merge("ana", "crm-17")) + "\n", encoding="utf-8")
    assert "crm-17" in run("show", "ana", tmp_path).stdout
    wrong = f"--project is for a server's directory, and '{tmp_path / 'e.ndjson'}' is none"
    assert error_of("show", "ana", tmp_path, "--project", "shop", code=2) == wrong
