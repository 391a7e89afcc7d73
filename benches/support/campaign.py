"""The command line of a campaign: a count, a seed, figures as JSON, exit code 1 on a violation."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SHOWN = 20
"""Violations that are printed at most."""


def campaign_options(name: str, summary: str | None, counted: str, default: int) -> argparse.ArgumentParser:
    """Return the parser of a campaign; its first argument is the number of what is ``counted``."""
    description = (summary or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m benches.campaigns.{name}", description=description)
    parser.add_argument(counted, nargs="?", type=int, default=default, help=f"default: {default:,}")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def run_campaign(
    campaign: Callable[[Path], tuple[Mapping[str, Any], Sequence[str]]],
    chosen: argparse.Namespace,
) -> int:
    """Run ``campaign`` in a directory that it has for itself; print its counts as JSON.

    Violations are those that it returns, or an AssertionError that it raises. They are printed on
    stderr with the seed, and the exit code that is returned is 1, not 0.
    """
    started = monotonic()
    folder = Path(tempfile.mkdtemp(dir=getattr(chosen, "folder", None)))
    try:
        counts, violations = campaign(folder)
    except AssertionError:
        traceback.print_exc()
        print(f"violated with --seed {chosen.seed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**counts, "seconds": round(monotonic() - started, 1)}))
    for violation in violations[:_SHOWN]:
        print(violation, file=sys.stderr)
    if violations:
        print(f"violated {len(violations)} times with --seed {chosen.seed}", file=sys.stderr)
    return 1 if violations else 0
