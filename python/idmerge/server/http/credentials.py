"""Projects as requests see them, and the one whose secret a request has."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Protocol

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


def project_of_secret(request: Request, projects: Sequence[Project]) -> Project | None:
    """Return the project whose secret, or service account, a request has; None without one.

    A service account is of the first project that has it, unless the request names a project by
    its name in the field ``project_id``.
    """
    found = request.credentials()
    if found is None:
        return None
    wanted = request.field("project_id")
    named = [project for project in projects if project.name == wanted] or projects
    user, password = found
    # Each comparison takes the same time whatever the credentials are, and none is left out.
    by_secret = [project for project in projects if is_same(user, project.secret) and not password]
    by_account = [project for project in named if has_account(request, project.accounts)]
    return next(iter([*by_secret, *by_account]), None)


def has_account(request: Request, accounts: Sequence[str]) -> bool:
    """Return whether a request has one of these accounts, each as ``user:secret``."""
    whole = ":".join(request.credentials() or ())
    return sum(is_same(whole, account) for account in accounts) > 0


def is_same(given: str, known: str) -> bool:
    """Return whether two texts are the same; wherever they differ, that takes the same time."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())
