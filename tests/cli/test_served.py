"""A server's directory in the place of a journal: the project that a command takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from idmerge.cli.served import check_project_has_directory, is_served, project_of
from idmerge.errors import SettingError

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
    (tmp_path / "idmerge.toml").write_text(ONE)
    assert is_served(str(tmp_path))
    check_project_has_directory("shop", str(tmp_path))
