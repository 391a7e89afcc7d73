"""Damaged Arrow and Parquet files, each given to every way in, in a process of its own.

`python -m benches.campaigns.mutations COUNT` makes COUNT files out of intact ones, by flipped bits,
changed numbers, cuts and gaps, and reads each as a user would: by the command line, and as a table
that was opened without validation. It exits with 1 if a process is ended by a signal or by its
clock, raises what is no error of idmerge's, does not name the file, or answers with IDs that are in
no version of it. Memory is filled with a marker first, which shows where foreign memory is read.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from benches.campaigns.mutated_files import Intact, damaged, intact_files
from benches.support.campaign import campaign_options, run_campaign

FILES = 2000
READS = 50
"""Reads that one process makes, if none ends it."""
SECONDS = 30
"""Time of a processor that a read may take; by the clock ten times as much."""
MEMORY = 3 * 2**29
"""Address space of a process."""
MARKER = b"FOREIGN-MEMORY."
FRESH = b"ZZZZZZZZ"
"""The bytes with which glibc fills new memory under ``MALLOC_PERTURB_``."""
ENVIRONMENT = {
    "MALLOC_PERTURB_": "165",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OPENBLAS_NUM_THREADS": "1",
    "IDMERGE_THREADS": "1",
}
RAISED, REFUSED = 70, 71
"""Exit codes: of what is no error of idmerge's, and of one that is."""
ID_COLUMNS = ("distinct_id", "$distinct_id_before_identity", "canonical_id")


class Door(NamedTuple):
    """A way in."""

    name: str
    arguments: Callable[[str], list[str]] | None
    """The command, given the file; None: what `_tables` does with it."""
    output: str


RESOLVE = Door("resolve", lambda file: ["resolve", file, "-o", "out.csv"], "out.csv")
HEADER = Door("header", lambda file: ["resolve", file], "")
"""For a file of events: only its columns' names are read."""
BESIDE = Door("beside", lambda file: ["stitch", "whole.parquet", file, "-o", "out.arrow"], "out.arrow")
STITCH = Door("stitch", lambda file: ["stitch", file, "-o", "out.arrow"], "out.arrow")
DEDUPE = Door(
    "dedupe", lambda file: ["stitch", "--dedupe", "--as-known", file, "-o", "out.arrow"], "out.arrow"
)
ASK = Door("ask", lambda file: ["ask", "signup-rate", file], "")
TABLE = Door("table", None, "")


def doors_for(intact: Intact) -> list[Door]:
    """Return the ways in for a file."""
    if intact.name.startswith("events-odd"):
        return [STITCH]  # pyarrow takes no rows out of such columns.
    if intact.name.startswith("stitched"):
        return [ASK]
    doors = [RESOLVE, BESIDE] if intact.holds_links else [STITCH, DEDUPE, HEADER]
    if intact.name.endswith(".parquet"):
        return doors if intact.holds_links else [*doors, ASK]
    return [*doors, TABLE]


class Read(NamedTuple):
    """A file, and the way in that it is given to."""

    name: str
    content: bytes
    door: Door
    versions: list[bytes] | None
    """The versions in which the bytes of each ID must stand; None where they may be packed."""
    is_whole: bool

    def is_as_expected(self, found: str) -> bool:
        """Return whether this may be what became of it."""
        return found == "answered" if self.is_whole else found in ("answered", "refused")


def mutations(count: int, seed: int, kept: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Read so many damaged files; return how many reads ended how, and what must not have been."""
    _preload()
    drawn = random.Random(seed)
    files = list(intact_files(drawn))
    whole = next(file for file in files if file.name == "events-string-plain.parquet").content
    drawn.shuffle(files)  # Few of them are of each kind, too.
    counts: Counter[str] = Counter(files=count)
    violations: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        Path("whole.parquet").write_bytes(whole)
        for read, found in _each(_drawn_reads(drawn, files, count, whole)):
            counts["whole files" if read.is_whole else found.partition(":")[0]] += 1
            if not read.is_as_expected(found):
                violations.append(f"{read.name}, {read.door.name}: {found}")
                if kept is not None:
                    (kept / read.name).write_bytes(read.content)
        os.chdir("/")
    return counts, violations


def _drawn_reads(drawn: random.Random, files: list[Intact], count: int, whole: bytes) -> Iterator[Read]:
    for number in range(count):
        intact = files[number % len(files)]
        content = damaged(drawn, intact.content)
        for door in doors_for(intact):
            if number < len(files) and door is not HEADER:
                yield Read(intact.name, intact.content, door, None, is_whole=True)
            versions = [intact.content, content, whole] if intact.is_plain else None
            yield Read(f"{number}-{intact.name}", content, door, versions, is_whole=False)


def _preload() -> None:
    """Import here what every process needs, so that none waits for it."""
    import duckdb  # noqa: F401
    import pyarrow.compute
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

    import idmerge.cli.commands.ask
    import idmerge.cli.commands.resolve
    import idmerge.cli.commands.stitch
    import idmerge.cli.group  # noqa: F401


def _each(reads: Iterator[Read]) -> Iterator[tuple[Read, str]]:
    """Yield each read and how it ended; a process makes many, the next goes on where it ends."""
    while rest := list(islice(reads, READS)):
        while rest:
            Path("results").write_bytes(b"")
            child = os.fork()
            if not child:
                _in_child(rest)
            _, status = os.waitpid(child, 0)
            found = [json.loads(line) for line in Path("results").read_text("utf-8").splitlines()]
            if len(found) < len(rest):
                found.append(_end(status))
            yield from zip(rest, found, strict=False)
            rest = rest[len(found) :]


def _end(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"raised: exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    return (
        "stuck" if number in (signal.SIGPROF, signal.SIGALRM) else f"ended by {signal.Signals(number).name}"
    )


# In a process of its own


def _in_child(reads: list[Read]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pieces = [MARKER * times for _ in range(40) for times in (5, 20, 40, 100, 300, 1000)]
    kept = pieces[::2]  # Memory between them is free, and holds the marker.
    del pieces
    try:
        with Path("results").open("w", encoding="utf-8") as results:
            for read in reads:
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                signal.alarm(10 * SECONDS)
                print(json.dumps(_read(read)), file=results, flush=True)
    finally:
        os._exit(0 if kept else 1)


def _read(read: Read) -> str:
    """Return how a read ended: ``answered``, ``refused``, or a sentence about what must not be."""
    door, file = read.door, f"file.{read.name.rpartition('.')[2]}"
    Path(file).write_bytes(read.content)
    if door.output:
        Path(door.output).unlink(missing_ok=True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    code = RAISED
    try:
        code = _command(door.arguments(file)) if door.arguments is not None else _tables(file)
    except BaseException:  # noqa: BLE001 - also a panic
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    said, told = (Path(name).read_bytes() for name in ("stdout", "stderr"))
    if code == RAISED or b"Traceback" in told:
        return f"raised: {told.decode(errors='replace').strip()[-2000:]}"
    if MARKER in said + told or FRESH in said + told:
        return f"foreign memory: {said[-300:]!r} {told[-300:]!r}"
    if code == 0:
        return _judged(door, read.versions)
    if code not in (1, REFUSED):
        return f"exit code {code}: {told.decode(errors='replace')}"
    # Dictionaries that damage made differ cannot be written to one Arrow file, which is no fault in
    # reading.
    if code == 1 and file.encode() not in told and b"out.arrow: cannot be written" not in told:
        return f"names no file: {told.decode(errors='replace')}"
    if door.output and Path(door.output).exists():
        return "wrote, though it refused"
    return "refused"


def _judged(door: Door, versions: list[bytes] | None) -> str:
    """Return ``answered`` if each ID of the output is in one of the file's versions."""
    if not door.output:
        return "answered"
    if MARKER in Path(door.output).read_bytes():
        return "foreign memory: in the output"
    try:
        ids = _ids_in(Path(door.output))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        return f"damaged output: {error}"
    for text in ids:
        encoded = text.encode()
        if FRESH in encoded or (versions is not None and all(encoded not in version for version in versions)):
            return f"foreign memory: the ID {text!r}"
    return "answered"


def _ids_in(path: Path) -> set[str]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as stream:
            return {row[name] for row in csv.DictReader(stream) for name in ID_COLUMNS if row.get(name)}
    with pa.OSFile(str(path)) as stream:
        table = pa.ipc.open_file(stream).read_all()
    table.validate(full=True)
    columns = (table.column(name).to_pylist() for name in ID_COLUMNS if name in table.column_names)
    return {text for column in columns for text in column if text is not None}


def _command(arguments: list[str]) -> int:
    from idmerge.cli.group import commands

    try:
        commands(arguments, prog_name="idmerge")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _tables(file: str) -> int:
    """Open an Arrow file as it is, and give its columns to what takes columns."""
    import idmerge

    try:
        with pa.OSFile(file) as stream:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            table = (pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)).read_all()
        names = table.column_names
    except (pa.ArrowException, OSError, ValueError, LookupError):
        return REFUSED
    resolver = idmerge.Resolver()
    takes: list[Callable[[], object]] = [
        lambda: resolver.link_many(idmerge.Kind.MERGE, table["first"], table["second"]),
        lambda: resolver.resolve_many(table["first"]).validate(full=True),
        lambda: idmerge.connected_components(table["first"], table["second"]),
        lambda: resolver.observe_many(table["distinct_id"]),
        lambda: idmerge.stitch(table).validate(full=True),
    ]
    code = REFUSED
    for take in takes[:3] if "first" in names else takes[3:]:
        try:
            take()
            code = 0
        except (idmerge.errors.IdmergeError, ValueError, TypeError, KeyError):
            pass
    print(resolver.mapping().to_pydict())
    return code


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("mutations", __doc__, "count", FILES)
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="where files that show a fault are left"
    )
    chosen = parser.parse_args(arguments)
    if os.environ.get("MALLOC_PERTURB_") != ENVIRONMENT["MALLOC_PERTURB_"]:
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", "benches.campaigns.mutations", *arguments],
            {**os.environ, **ENVIRONMENT},
        )
    kept = chosen.keep.resolve() if chosen.keep else None
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    return run_campaign(lambda _: mutations(chosen.count, chosen.seed, kept), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
