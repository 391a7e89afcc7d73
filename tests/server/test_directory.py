"""The directory of a server: its files, and errors in its settings that name the place."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from idmerge import Policy
from idmerge.errors import SettingError
from idmerge.server.directory import Directory
from idmerge.server.server import Server

GOOD = 'name = "main"\ntoken = "public-token"\nsecret = "hidden-secret"\n'


def opened(path: Path, text: str) -> Directory:
    (path / "idmerge.toml").write_text(text, encoding="utf-8")
    return Directory.open(path)


def test_a_first_start_makes_a_project_with_keys_that_others_cannot_read(tmp_path: Path) -> None:
    first, other = (Directory.open(tmp_path / name) for name in ("a", "b"))
    assert first.is_new
    (project,) = first.projects
    assert (project.name, project.policy, project.canonical, project.timezone) == (
        "main",
        Policy(),
        None,
        None,
    )
    keys = {one.projects[0].token for one in (first, other)} | {
        one.projects[0].secret for one in (first, other)
    }
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert stat.S_IMODE(first.settings.stat().st_mode) == 0o600
    assert not first.others_can_read
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    again = Directory.open(tmp_path / "a")
    assert (again.is_new, again.projects) == (False, first.projects)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["idmerge.toml"]
    assert project.secret not in repr(first)
    first.settings.chmod(0o644)
    assert first.others_can_read


def test_settings_are_called_as_the_options_of_the_command_line(tmp_path: Path) -> None:
    text = f"""
[[project]]
{GOOD}
max-cluster-size = "none"
anon-format = "any"
blocked-ids = ["guest"]
evidence = false
canonical = "smallest"
timezone = "Asia/Kolkata"
merge-profiles = "fill"

[[project]]
name = "phone"
token = "t"
secret = "s"
api = "simplified"
max-id-length = 40
"""
    main, phone = opened(tmp_path, text).projects
    assert main.policy == Policy(
        max_cluster_size=None, anon_format="any", blocked_ids=frozenset({"guest"}), evidence=False
    )
    assert (main.canonical, main.timezone) == ("smallest", "Asia/Kolkata")
    assert phone.policy.api == "simplified"
    assert (phone.policy.max_cluster_size, phone.policy.max_id_length) == (None, 40)
    assert (main.merge_profiles, phone.merge_profiles) == ("fill", "hide")
    assert main.journal == tmp_path / "ids.idmerge"
    assert phone.profiles == tmp_path / "projects" / "phone" / "profiles"
    assert phone.journal == tmp_path / "projects" / "phone" / "ids.idmerge"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a project is expected, which begins with a line [[project]]"),
        ("[project]\n" + GOOD, "a project is expected, which begins with a line [[project]]"),
        ("[[project]\n", "the text is no TOML: "),
        ("project = [1]", "project 1: keys are expected, below a line [[project]]"),
        ("[[projects]]\n" + GOOD, "there is no key 'projects'. Did you mean 'project'?"),
        (f"[[project]]\n{GOOD}max-cluster-sise = 5", "there is no key 'max-cluster-sise'. Did you mean"),
        (
            f"[[project]]\n{GOOD}colour = 5",
            "there is no key 'colour'. Known are name, token, secret, accounts, readers, api, ",
        ),
        ("[[project]]\n" + GOOD.replace("main", "../x"), "project 1: name must be 1 to 64 ASCII letters"),
        ("[[project]]\n" + GOOD.replace('"main"', "5"), "a letter or digit first, got 5"),
        ("[[project]]\n" + GOOD.replace("token", "api", 1), "(main): token must be a text of 1 to 255 ASCII"),
        ("[[project]]\n" + GOOD.replace("n-s", "n s"), "project 1 (main): secret must be a text of 1 to 255"),
        ("[[project]]\n" + GOOD.replace("n-s", "n:s"), "project 1 (main): secret must be a text of 1 to 255"),
        (
            f'[[project]]\n{GOOD}api = "new"',
            "api must be one of 'original', 'simplified', 'legacy', got 'new'",
        ),
        (f"[[project]]\n{GOOD}api = []", "api must be one of 'original', 'simplified', 'legacy', got []"),
        (f"[[project]]\n{GOOD}max-cluster-size = 1", 'max-cluster-size must be at least 2 or "none", got 1'),
        (f'[[project]]\n{GOOD}alias-once = "no"', "(main): alias-once must be a bool, got 'no'"),
        (f'[[project]]\n{GOOD}canonical = "newest"', "canonical must be one of 'stable', "),
        (f"[[project]]\n{GOOD}canonical = []", "canonical must be one of 'stable', "),
        (f'[[project]]\n{GOOD}timezone = "Kolkata"', "timezone: no time zone is called 'Kolkata'"),
        (f"[[project]]\n{GOOD}timezone = 5", "(main): timezone: "),
        (f'[[project]]\n{GOOD}merge-profiles = "mix"', "merge-profiles must be 'hide' or 'fill', got 'mix'"),
        (
            f"[[project]]\n{GOOD}merge-profiles = []",
            "(main): merge-profiles must be 'hide' or 'fill', got []",
        ),
        (f"[[project]]\n{GOOD}[[project]]\n" + GOOD.replace("main", "Main"), "1 and 2 have one name, 'Main'"),
        (
            f"[[project]]\n{GOOD}[[project]]\n" + GOOD.replace("main", "b").replace("hidden", "other"),
            "the token of project 2 is the token of project 1; each needs one of its own",
        ),
        (
            "[[project]]\n" + GOOD.replace("public-token", "hidden-secret"),
            "the secret of project 1 is the token of project 1; each needs one of its own",
        ),
        (f'monitors = "a:b"\n[[project]]\n{GOOD}', 'monitors must be a list of texts, each as "user:secret"'),
        (f"routes = []\n[[project]]\n{GOOD}", "routes must be a table of paths, as [routes] and then t = "),
        (f"[[project]]\n{GOOD}[routes]\nt = 5", "routes must be a table of paths, as [routes] and then t = "),
        (f'[[project]]\n{GOOD}[routes]\n"/t" = "track"', "without slashes around it, got '/t'"),
    ],
    ids=range(29),
)
def test_a_wrong_setting_is_named_with_its_place_and_no_secret(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=re.escape(message)) as raised:
        opened(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "idmerge.toml: ").removesuffix(": "))
    assert "secret" not in str(raised.value).replace("secret must", "").replace("the secret", "").replace(
        "token, secret, accounts, readers, api", ""
    ).replace("user:secret", "")
    assert "public" not in str(raised.value)


def test_a_url_is_no_directory_and_its_password_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="a directory's path is needed") as raised:
        Directory.open("postgresql://user:hidden@127.0.0.1/db")
    assert "hidden" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_bytes(b"\xff")
    with pytest.raises(SettingError, match=r"the text is no UTF-8: invalid start byte at byte 0"):
        Directory.open(tmp_path)


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ('t = "trak"', "routes: 't' stands for no route, but 'trak'. Did you mean 'track'?"),
        ('track = "import"', "routes: the server answers 'track' already; take another path"),
        ('"v1/t" = "track"', "routes: the server answers 'v1/t' already; take another path"),
        ('"api/ids/ana" = "track"', "routes: the server answers 'api/ids/ana' already; take another path"),
    ],
    ids=["none", "track", "calls", "reading"],
)
def test_a_path_is_of_one_route(routes: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(f"[[project]]\n{GOOD}[routes]\n{routes}\n", "utf-8")
    with pytest.raises(SettingError, match=re.escape(message)):
        Server(tmp_path)


def test_clients_write_by_other_names_of_routes(tmp_path: Path) -> None:
    settings = f'[[project]]\n{GOOD}[routes]\nt = "track"\n"a/b" = "engage"\n'
    (tmp_path / "idmerge.toml").write_text(settings, "utf-8")
    with Server(tmp_path) as server:
        assert {name: server.routes[name] for name in ("t", "a/b", "track")} == {
            "t": "track",
            "a/b": "engage",
            "track": "track",
        }
