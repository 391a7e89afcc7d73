"""Projects as requests see them, and the one whose secret, or account, a request has."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.policy import Api
    from idmerge.server.http.requests import Request


class Project(Protocol):
    """A project, as far as requests concern it."""

    @property
    def name(self) -> str:
        """The name of the project in records."""

    @property
    def token(self) -> str:
        """The token, which is public."""

    @property
    def secret(self) -> str:
        """The secret, which may import and read."""

    @property
    def api(self) -> Api:
        """The API whose links its events state."""

    @property
    def timezone(self) -> str | None:
        """The time zone in which its days begin; None for UTC."""

    @property
    def accounts(self) -> Sequence[str]:
        """Service accounts that may too, each as ``user:secret``."""

    @property
    def readers(self) -> Sequence[str]:
        """Service accounts that may read, and change nothing, each as ``user:secret``."""


class Holder(NamedTuple):
    """The holder of a key to a project."""

    project: Project
    may_change: bool
    """Whether it is more than a reader's key."""


def holder_of(
    credentials: tuple[str, str] | None, projects: Sequence[Project], wanted: str | None = None
) -> Holder | None:
    """Return what a user and a password are a key to; None if to nothing.

    The secret is the user, with an empty password. A service account is of the first project that
    has it, unless ``wanted`` is the name of another.
    """
    if credentials is None:
        return None
    named = [project for project in projects if project.name == wanted] or projects
    user, password = credentials
    # Each comparison takes the same time whatever the credentials are, and none is left out.
    by_secret = [project for project in projects if is_same(user, project.secret) and not password]
    by_account = [project for project in named if _has(credentials, project.accounts)]
    by_reader = [project for project in named if _has(credentials, project.readers)]
    found = [Holder(project, may_change=True) for project in (*by_secret, *by_account)]
    return next(iter([*found, *(Holder(project, may_change=False) for project in by_reader)]), None)


def holder(request: Request, projects: Sequence[Project]) -> Holder | None:
    """Return what the Basic authorization of a request is a key to; None if to nothing.

    The field ``project_id`` may name one of several projects that have the same account.
    """
    return holder_of(request.credentials(), projects, request.field("project_id"))


def project_of_secret(request: Request, projects: Sequence[Project]) -> Project | None:
    """Return the project that a request may write to and change; None if there is none."""
    found = holder(request, projects)
    return found.project if found is not None and found.may_change else None


def has_account(request: Request, accounts: Sequence[str]) -> bool:
    """Return whether a request has one of these accounts, each as ``user:secret``."""
    return _has(request.credentials() or (), accounts)


def _has(credentials: Sequence[str], accounts: Sequence[str]) -> bool:
    whole = ":".join(credentials)
    return sum(is_same(whole, account) for account in accounts) > 0


def is_same(given: str, known: str) -> bool:
    """Return whether two texts are the same; wherever they differ, that takes the same time."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())
