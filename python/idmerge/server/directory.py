"""The directory of a server: its files, and the settings of its projects.

    DIR/idmerge.toml                  the projects, with their tokens and secrets
    DIR/log/                          the records of all projects
    DIR/ids.idmerge                   the journal of the first project
    DIR/outcomes                      the refused links of its events that are not sealed
    DIR/events/                       its sealed events
    DIR/profiles/, DIR/groups/        its profiles of people and of groups
    DIR/projects/NAME/                the same of each other one
    DIR/sinks/NAME/                   what the target of a sink cannot keep

A setting is called as the command line's option: ``max-cluster-size = 500``, or ``"none"`` for no
limit. No message shows a token or a secret.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import tempfile
import tomllib
from dataclasses import dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from idmerge._naming import check_local, named
from idmerge.canonical import STRATEGIES, Strategy
from idmerge.errors import PolicyError, SettingError
from idmerge.files import check_zone
from idmerge.files.exchanging import rename_to_free
from idmerge.files.syncing import sync_directory
from idmerge.policy import PRESETS, Policy
from idmerge.profiles import MergeProfiles
from idmerge.server.keys import check_known
from idmerge.server.sinksettings import SinkSettings, sinks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idmerge.policy import Api

SETTINGS = "idmerge.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[!-9;-~]{1,255}")
"""A token or a secret: ASCII without blanks, and without the colon that ends a user's name."""
_PATH = re.compile(r"(?!/)[A-Za-z0-9._~/-]{1,100}(?<!/)")
_ACCOUNT = re.compile(r"[!-9;-~]{1,255}:[!-~]{1,255}")
_RULES = {one.name.replace("_", "-"): one.name for one in fields(Policy)}
_LIMITS = ("max-cluster-size", "max-id-length")
_OWN = ("name", "token", "secret", "accounts", "readers")
_NAMES = (*_OWN, *_RULES, "canonical", "timezone", "merge-profiles", "max-rate")
_FIRST = """\
# The projects of this server. Docs: docs/serve.md
#
# token   what SDKs send; it is public, and only allows to write
# secret  what reading needs; keep it to yourself

[[project]]
name = "{name}"
token = "{token}"
secret = "{secret}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project of a server."""

    name: str
    token: str
    """The token that clients send. It is public."""
    secret: str = field(repr=False)
    """The secret that readers send."""
    accounts: tuple[str, ...] = field(repr=False)
    """Service accounts that may do what the secret may, each as ``user:secret``."""
    readers: tuple[str, ...] = field(repr=False)
    """Service accounts that may read, and change nothing, each as ``user:secret``."""
    policy: Policy
    canonical: Strategy | None
    """The strategy for canonical IDs; None for the journal's."""
    timezone: str | None
    """The zone of times that name none; None for UTC."""
    max_rate: float | None
    """The most events and updates a second, or more in a burst (`Rates`); None for no limit."""
    merge_profiles: MergeProfiles
    """The use of the profiles of a person's other IDs."""
    journal: Path
    """The path of its journal."""

    @property
    def profiles(self) -> Path:
        """The path of the directory of its profiles of people."""
        return self.journal.parent / "profiles"

    @property
    def groups(self) -> Path:
        """The path of the directory of its profiles of groups."""
        return self.journal.parent / "groups"

    @property
    def api(self) -> Api:
        """The API whose links its events state."""
        return self.policy.api


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A server's directory, with the settings as they were read.

    Examples:
        >>> from idmerge.server.directory import Directory
        >>> directory = Directory.open("here")
        >>> [project.name for project in directory.projects], directory.is_new
        (['main'], True)
        >>> directory.log.as_posix(), directory.projects[0].journal.as_posix()
        ('here/log', 'here/ids.idmerge')
        >>> Directory.open("here").is_new, directory.others_can_read
        (False, False)
    """

    path: Path
    projects: tuple[Project, ...]
    is_new: bool
    """Whether the settings were made just now."""
    monitors: tuple[str, ...] = field(default=(), repr=False)
    """Accounts that may read the metrics of all projects, each as ``user:secret``."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Further paths at which clients write, each with the route that it stands for."""
    sinks: tuple[SinkSettings, ...] = ()
    """Where the mappings of projects are delivered."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Return the directory at ``path``; without settings it gets those of one new project.

        Raises:
            SettingError: The settings cannot be used; the message names file, project and key.
            OSError: They cannot be read or made.
            FileNotFoundError: ``path`` is a URL.
        """
        check_local(path, "a directory's path is needed")
        settings = Path(path) / SETTINGS
        is_new = not settings.exists()
        if is_new:
            _make(settings)
        return replace(cls.read(path), is_new=is_new)

    @classmethod
    def make(
        cls,
        path: str | os.PathLike[str],
        policy: Policy,
        *,
        name: str = "main",
        canonical: Strategy | None = None,
        timezone: str | None = None,
    ) -> Self:
        """Make a directory whose settings have one project with such rules, and return it.

        What is no letter, digit, dot, hyphen or underscore becomes a hyphen in its ``name``.

        Raises:
            FileExistsError: There are settings.
            FileNotFoundError: ``path`` is a URL.
            OSError: They cannot be made.

        Examples:
            >>> from idmerge import Policy
            >>> from idmerge.server.directory import Directory
            >>> made = Directory.make("there", Policy(max_cluster_size=10), timezone="Asia/Kolkata")
            >>> made.projects[0].policy.max_cluster_size, made.projects[0].timezone
            (10, 'Asia/Kolkata')
        """
        check_local(path, "a directory's path is needed")
        settings = Path(path) / SETTINGS
        if settings.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(settings))
        rules = {key: getattr(policy, name) for key, name in _RULES.items()}
        given = {
            key: value for key, value in rules.items() if value != getattr(PRESETS[policy.api], _RULES[key])
        }
        given |= {"api": policy.api} | ({} if canonical is None else {"canonical": canonical})
        given |= {} if timezone is None else {"timezone": timezone}
        plain = re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64] or "main"
        _make(settings, plain, "".join(f"{key} = {_in_toml(value)}\n" for key, value in given.items()))
        return cls.open(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the directory at ``path``, which must have settings; nothing is made.

        Raises:
            SettingError: The settings cannot be used; the message names file, project and key.
            OSError: They cannot be read.
            FileNotFoundError: There are none.

        Examples:
            >>> from idmerge.server.directory import Directory
            >>> Directory.open("here").projects == Directory.read("here").projects
            True
        """
        directory = Path(path)
        return cls(path=directory, is_new=False, **_read(directory / SETTINGS))

    @property
    def settings(self) -> Path:
        """The path of the file of settings."""
        return self.path / SETTINGS

    @property
    def log(self) -> Path:
        """The path of the log."""
        return self.path / "log"

    @property
    def others_can_read(self) -> bool:
        """Whether other users of this machine can read the secrets."""
        return os.name != "nt" and bool(self.settings.stat().st_mode & 0o077)


def _make(settings: Path, name: str = "main", more: str = "") -> None:
    """Write the settings of one project, with new keys, which no other user can read."""
    settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = _FIRST.format(name=name, token=secrets.token_hex(16), secret=secrets.token_hex(16)) + more
    descriptor, made = tempfile.mkstemp(prefix=f".{SETTINGS}-", dir=settings.parent)  # Of mode 0600.
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not rename_to_free(Path(made), settings):
            Path(made).replace(settings)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    sync_directory(settings.parent)


def _in_toml(value: object) -> str:
    """Return a value of a setting as TOML has it."""
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return f"[{', '.join(map(_in_toml, sorted(value)))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def _read(settings: Path) -> dict[str, Any]:
    """Return what the settings state, by the names of a directory's fields."""
    name = named(settings)
    try:
        stated = tomllib.loads(settings.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise SettingError(f"{name}: the text is no UTF-8: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{name}: the text is no TOML: {error}") from None
    check_known(name, stated, ("project", "monitors", "routes", "sink"))
    given = stated.get("project")
    if not isinstance(given, list) or not given:
        raise SettingError(f"{name}: a project is expected, which begins with a line [[project]]")
    projects = tuple(
        _project(f"{name}: project {number}", one, settings.parent, is_first=number == 1)
        for number, one in enumerate(given, 1)
    )
    _check_distinct(name, projects)
    return {
        "projects": projects,
        "monitors": _accounts(name, stated.get("monitors", []), "monitors"),
        "routes": _routes(name, stated.get("routes", {})),
        "sinks": sinks_of(
            name, stated.get("sink", []), [one.name for one in projects], settings.parent, _NAME
        ),
    }


def _routes(name: str, stated: object) -> dict[str, str]:
    """Return the further paths of routes, which clients are told to use."""
    if not isinstance(stated, dict) or not all(isinstance(route, str) for route in stated.values()):
        raise SettingError(f'{name}: routes must be a table of paths, as [routes] and then t = "track"')
    for path in stated:
        if not _PATH.fullmatch(path):
            raise SettingError(
                f"{name}: routes: a path must be 1 to 100 ASCII letters, digits and -._~/, without slashes "
                f"around it, got {path!r:.100}"
            )
    return stated


def _project(place: str, stated: object, directory: Path, *, is_first: bool) -> Project:
    if not isinstance(stated, dict):
        raise SettingError(f"{place}: keys are expected, below a line [[project]]")
    check_known(place, stated, _NAMES)
    name = stated.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingError(
            f"{place}: name must be 1 to 64 ASCII letters, digits, dots, hyphens and underscores, "
            f"a letter or digit first, got {name!r:.100}"
        )
    place = f"{place} ({name})"
    for key in ("token", "secret"):
        value = stated.get(key)
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise SettingError(
                f"{place}: {key} must be a text of 1 to 255 ASCII characters, without blanks and colons"
            )
    canonical = stated.get("canonical")
    if canonical is not None and canonical not in STRATEGIES:
        names = ", ".join(map(repr, STRATEGIES))
        raise SettingError(f"{place}: canonical must be one of {names}, got {canonical!r:.100}")
    try:
        zone = check_zone(stated.get("timezone"))
    except (TypeError, ValueError) as error:
        raise SettingError(f"{place}: timezone: {error}") from error
    return Project(
        name=name,
        token=stated["token"],
        secret=stated["secret"],
        accounts=_accounts(place, stated.get("accounts", [])),
        readers=_accounts(place, stated.get("readers", []), "readers"),
        policy=_policy(place, stated),
        canonical=canonical,
        timezone=zone,
        max_rate=_max_rate(place, stated.get("max-rate")),
        merge_profiles=_merge_profiles(place, stated.get("merge-profiles", "hide")),
        journal=(directory if is_first else directory / "projects" / name) / "ids.idmerge",
    )


def _accounts(place: str, stated: object, key: str = "accounts") -> tuple[str, ...]:
    if not isinstance(stated, list) or not all(
        isinstance(one, str) and _ACCOUNT.fullmatch(one) for one in stated
    ):
        raise SettingError(f'{place}: {key} must be a list of texts, each as "user:secret"')
    return tuple(stated)


def _max_rate(place: str, stated: object) -> float | None:
    if stated is None or stated == "none":
        return None
    if isinstance(stated, bool) or not isinstance(stated, (int, float)) or not 0 < stated < inf:
        raise SettingError(f'{place}: max-rate must be a number above 0, or "none", got {stated!r:.100}')
    return float(stated)


def _merge_profiles(place: str, stated: object) -> MergeProfiles:
    for choice in get_args(MergeProfiles):
        if stated == choice:
            found: MergeProfiles = choice
            return found
    choices = " or ".join(map(repr, get_args(MergeProfiles)))
    raise SettingError(f"{place}: merge-profiles must be {choices}, got {stated!r:.100}")


def _policy(place: str, stated: Mapping[str, Any]) -> Policy:
    api = stated.get("api", "original")
    if not isinstance(api, str) or api not in PRESETS:
        raise SettingError(f"{place}: api must be one of {', '.join(map(repr, PRESETS))}, got {api!r:.100}")
    given = {_RULES[key]: value for key, value in stated.items() if key in _RULES and key != "api"}
    for limit in _LIMITS:
        if stated.get(limit) == "none":
            given[_RULES[limit]] = None
    try:
        return replace(PRESETS[api], **given)
    except (PolicyError, TypeError) as error:
        text = str(error)
        for key, rule in _RULES.items():
            text = text.replace(rule, key)
        text = text.replace(" or None", ' or "none"')
        raise SettingError(f"{place}: {text}") from error


def _check_distinct(name: str, projects: tuple[Project, ...]) -> None:
    """Make sure that each name, token and secret is of one project, and no secret is a token."""
    names: dict[str, int] = {}
    keys: dict[str, tuple[int, str]] = {}
    for number, project in enumerate(projects, 1):
        other = names.setdefault(project.name.casefold(), number)
        if other != number:
            raise SettingError(f"{name}: projects {other} and {number} have one name, {project.name!r}")
        for what, key in (("token", project.token), ("secret", project.secret)):
            there = keys.setdefault(key, (number, what))
            if there != (number, what):
                raise SettingError(
                    f"{name}: the {what} of project {number} is the {there[1]} of project {there[0]}; "
                    "each needs one of its own"
                )
