"""Arguments and options that commands share: files, policy, canonical strategy."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from idmerge import Policy
from idmerge._naming import named
from idmerge.canonical import STRATEGIES
from idmerge.cli.completion import FILE
from idmerge.cli.messages import remember_json, remember_quiet, tell_note
from idmerge.errors import PolicyError
from idmerge.files import check_zone
from idmerge.files.sources import expanded
from idmerge.policy import PRESETS, AnonFormat, AnonGuard, Api, Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

SHOWN = 5
"""Files that are passed over and named."""
ANON_FORMATS: tuple[str, ...] = get_args(AnonFormat)
ANON_GUARDS: tuple[str, ...] = get_args(AnonGuard)
VERDICTS: tuple[str, ...] = get_args(Verdicts)

FILES_HELP = """
    FILE holds events: one JSON object a line or one JSON array, plain, gzip or zstd, - for standard
    input. Or it holds links in columns kind, first and second: .csv, .parquet or .arrow, where kind is
    identify, alias or merge. Or it is a directory of such files, which are read in the order of their names.
"""


JOURNAL_HELP = """
    PATH is a journal: a file that idmerge resolve --journal or idmerge.DurableResolver.open made, or a
    postgresql:// URL.
"""
JOURNAL_OR_SERVED_HELP = """
    PATH is a journal: a file that idmerge resolve --journal or idmerge.DurableResolver.open made, or a
    postgresql:// URL. Or it is the directory of idmerge serve, which may run: the journal of its first
    project is read, or of --project.
"""


class Limit(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.5.
    """A whole number, or the word ``none`` for no limit."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number; ``none`` stays a word, for click takes None as not given."""
        if value == "none":
            return "none"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor none", param, ctx)


def files_in_directories(
    _context: click.Context, _option: click.Parameter, paths: Sequence[str]
) -> list[str]:
    """Return ``paths``, and for a directory the files of events and links in it."""
    return expanded_files(paths, with_csv=True)


def expanded_files(paths: Sequence[str], *, with_csv: bool = False) -> list[str]:
    """Return ``paths``, and for a directory the files in it; those passed over are named."""
    return [str(path) for path in expanded(paths, with_csv=with_csv, on_passed_over=_tell_passed_over)]


def _tell_passed_over(directory: str, names: Sequence[str]) -> None:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    passed_over = f"passed over in {named(directory)}: {', '.join(names[:SHOWN])}{more}"
    tell_note(passed_over)


files_argument = click.argument(
    "files", type=FILE, metavar="FILE...", nargs=-1, required=True, callback=files_in_directories
)

journal_argument = click.argument("path", type=FILE, metavar="PATH")

canonical_option = click.option(
    "--canonical",
    type=click.Choice(STRATEGIES),
    default="stable",
    show_default=True,
    help="Which member names a cluster: the larger cluster's name stays (stable), the identified ID known "
    "first, the ID known first, or the smallest by UTF-8 bytes.",
)

strict_option = click.option(
    "--strict", is_flag=True, help="Stop at the first malformed line and write nothing."
)

sort_option = click.option(
    "--sort",
    is_flag=True,
    help="Read events in the order in which Mixpanel processed them (mp_processing_time_ms, else "
    "$mp_api_timestamp_ms), whatever their order in FILEs; this takes room for a copy in the temporary "
    "directory.",
)


class Length(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.5.
    """A length of time: a whole number and its unit, such as ``30d``."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length."""
        from idmerge.questions import length_of  # noqa: PLC0415 - most commands ask nothing

        try:
            return length_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Zone(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.5.
    """The name of a time zone."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        try:
            return str(check_zone(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def zone_option(name: str) -> Callable[..., Any]:
    """Return the option, called ``name``, for the zone of times that name none."""
    return click.option(
        name,
        type=Zone(),
        metavar="ZONE",
        help="The zone of times that name none, such as Asia/Kolkata; projects made before 2023 may export "
        "local times. UTC by default.",
    )


timezone_option = zone_option("--timezone")


def shared_options() -> list[click.Option]:
    """Return the options that every command has."""
    return [
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=remember_json,
            help="Print the answer or the summary as one JSON object (docs/json.md).",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=remember_quiet,
            help="Print nothing but errors and what was asked for.",
        ),
    ]


def journal_option(text: str) -> Callable[..., Any]:
    """Return the option that names a journal, with ``text`` as its help."""
    return click.option("--journal", type=FILE, metavar="PATH", help=text)


def limit_option(name: str, default: int, text: str) -> Callable[..., Any]:
    """Return the option of a number that is at least 1."""
    return click.option(
        name, type=click.IntRange(min=1), metavar="N", default=default, show_default=True, help=text
    )


POLICY_OPTIONS = (
    click.option(
        "--max-cluster-size",
        type=Limit(),
        metavar="N|none",
        default=Policy().max_cluster_size,
        show_default=True,
        help="Most IDs in a cluster.",
    ),
    click.option(
        "--anon-format",
        type=click.Choice(ANON_FORMATS),
        default=Policy().anon_format,
        show_default=True,
        help="What an anonymous ID must look like.",
    ),
    click.option(
        "--anon-guard",
        type=click.Choice(ANON_GUARDS),
        default=Policy().anon_guard,
        show_default=True,
        help="When an anonymous ID counts as claimed: by an $identify that named it, "
        "by a user in its cluster, or never.",
    ),
    click.option(
        "--alias-once/--no-alias-once",
        default=Policy().alias_once,
        show_default=True,
        help="Whether an alias can be used only once.",
    ),
    click.option(
        "--blocked-ids",
        type=FILE,
        metavar="FILE",
        help="IDs that belong to nobody, one a line, in place of the built-in list.",
    ),
    click.option(
        "--max-id-length",
        type=Limit(),
        metavar="N|none",
        default=Policy().max_id_length,
        show_default=True,
        help="Most characters in an ID.",
    ),
    click.option(
        "--verdicts",
        type=click.Choice(VERDICTS),
        default=Policy().verdicts,
        show_default=True,
        help="Whether a link that Mixpanel refused itself ($failure_reason) is refused too, or judged anew.",
    ),
    click.option(
        "--evidence/--no-evidence",
        default=Policy().evidence,
        show_default=True,
        help="Whether an event whose distinct_id Mixpanel has rewritten joins it to the ID that was sent.",
    ),
)


api_option = click.option(
    "--api",
    type=click.Choice(list(PRESETS)),
    default=Policy().api,
    show_default=True,
    help="Mixpanel's API: Original ID Merge, Simplified ID Merge (events with $device_id and $user_id), or "
    "no ID Merge (aliases). The last two have clusters of any size, and simplified devices any format, "
    "unless the options below say otherwise.",
)

POLICY_FIELDS = tuple(field.name for field in fields(Policy))


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options of a policy, and in their place the argument ``policy``."""

    @wraps(command)
    def with_policy(**options: Any) -> Any:
        chosen = {name: options.pop(name) for name in POLICY_FIELDS if name in options}
        return command(policy=_policy(**chosen), **options)

    decorated: Callable[..., Any] = with_policy
    for option in reversed(POLICY_OPTIONS):
        decorated = option(decorated)
    return decorated


def given_policy() -> dict[str, Any]:
    """Return the fields of the policy that the running command was given, by name."""
    context = click.get_current_context()
    chosen = {name: context.params[name] for name in POLICY_FIELDS if name in context.params}
    policy = _policy(**chosen)
    return {name: getattr(policy, name) for name in POLICY_FIELDS if is_given(name)}


def is_given(option: str) -> bool:
    """Return whether ``option`` was given to the running command, not left at its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def check_rules_are_left_out() -> None:
    """Raise a usage error if a policy or a strategy was given beside a journal."""
    if any(map(is_given, ("canonical", *POLICY_FIELDS))):
        raise click.UsageError(
            "a journal states its policy and its canonical strategy; leave out their options"
        )


def _policy(*, api: Api = "original", **options: Any) -> Policy:
    """Return the policy of the API, with the options that were given in place of its own."""
    given = {name: value for name, value in options.items() if is_given(name)}
    for limit in {"max_cluster_size", "max_id_length"} & given.keys():
        given[limit] = _or_none(given[limit])
    if "blocked_ids" in given:
        given["blocked_ids"] = _ids_in(given["blocked_ids"])
    try:
        return replace(PRESETS[api], **given)
    except PolicyError as error:
        raise click.UsageError(str(error)) from error


def _or_none(limit: int | str) -> int | None:
    return limit if isinstance(limit, int) else None


def _ids_in(path: str) -> frozenset[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
            return frozenset(line for line in file.read().split("\n") if line)
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{named(path)}: the text is no UTF-8: {error}") from error
