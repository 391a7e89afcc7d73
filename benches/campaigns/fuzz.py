"""Fuzzing of every reader of files in Rust, each target of `rust/fuzz` for some seconds.

    python -m benches.campaigns.fuzz [SECONDS] [--seed SEED] [--only TARGET,...]

The targets are built with the coverage that libFuzzer needs, which any toolchain can give;
cargo-fuzz works there too, with a nightly one. An input that ends a target, or takes more than ten
seconds or 2 GB, is kept in `rust/fuzz/artifacts` and printed, and the command exits with 1: it
becomes a test in `rust/events/tests`, and the fault is mended. The inputs that reached new code
stay in `rust/fuzz/corpus`, so that the next run goes on from there.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from benches.support.campaign import campaign_options, run_campaign
from benches.support.paths import ROOT
from idmerge import Policy, _core

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 60
FUZZ = ROOT / "rust" / "fuzz"
LONGEST = 1 << 14
"""Bytes of an input."""
COVERAGE = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
]
LINES = [
    b'{"event":"$identify","properties":{"$anon_id":"d","$identified_id":"u","time":1.5}}\n',
    b'{"event":"$merge","properties":{"$distinct_ids":["a","\\u00e9"],"n":[1,{"a":null}]}}\n{}\n',
    b'{"properties":{"distinct_id":18446744073709551615,"time":"2023-11-14T22:13:20Z"}}\n\nNaN\n',
]
DIALECTS = [
    b'{"name":"A","insert_id":1,"mp_reserved_x":null,"properties":"{\\"a\\":[\\n1]}"}\n{"event":1}\n',
    b'{"type":"RECORD","record":{"event":"A","x":"\\u00e9"}}\n{"type":"STATE"}\n',
    b'{"results":[{"event":1}],"x":[]}{"results":{"events":[{}]}}\n{\n"event":1}',
]
BODIES = [
    *LINES,
    b"verbose=1&data=%5B%7B%22event%22%3A%22a%22%7D%5D&ip=1",
    b"data=W3siZXZlbnQiOiJhIn1d",
    gzip.compress(b'[{"event":"a"}]', mtime=0),
    b'{\n"event":"a"}\n{}',
]
ARRAYS = [b' {"a": [1, "b\\""]},\n 2 ]', b"]"]


def seeds() -> dict[str, list[bytes]]:
    """Return first inputs by target: text behind the place of a cut, or two parts behind a size."""
    resolver = _core.Resolver(Policy(), "stable", history=True, record=True)
    resolver.merge("5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "short")
    resolver.merge("short", "a text that is too long for a key, as some are")
    resolver.observe("$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a12")
    resolver.keep_apart("one", "another")
    resolver.forget("short")
    steps, ids = resolver._pending()
    texts, block, *_ = resolver._pending_blocks((0, steps), (0, ids), 0, 1 << 20)
    resolver._written(0, steps, ids)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        assert resolver._save(str(path), [0, 0, resolver.position, ids, 0])
        saved = path.read_bytes()
    # A part: its version, a moment of five words, its content, a checksum; the second one's
    # size is last.
    (size,) = struct.unpack("<Q", saved[-8:])
    parts = [part[48:-8] for part in (saved[: -8 - size], saved[-8 - size : -8])]
    return {
        "lines": [bytes([cut]) + text for text in LINES for cut in (0, 5)],
        "arrays": [bytes([size]) + text for text in ARRAYS for size in (1, 3)],
        "transcoder": [bytes([choice, 3]) + text for text in DIALECTS for choice in range(4)],
        "bodies": BODIES,
        "journal_blocks": [struct.pack("<H", len(texts)) + texts + block],
        "checkpoints": [struct.pack("<H", len(parts[0])) + b"".join(parts)],
    }


def targets() -> list[str]:
    """Return the names of the targets."""
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text("utf-8"))
    return [target["name"] for target in manifest["bin"]]


def build() -> Path:
    """Build the targets with coverage; return the directory that holds them."""
    asked = ["rustc", "-vV"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    host = re.search(r"^host: (\S+)$", version, re.MULTILINE)
    assert host is not None, version
    # With a target named, the flags are not those of build scripts and macros.
    command = ["cargo", "build", "--release", "--locked", "--target", host[1], "--target-dir", "target"]
    flags = {"RUSTFLAGS": " ".join(COVERAGE)}
    subprocess.run(command, cwd=FUZZ, env=os.environ | flags, check=True)
    return FUZZ / "target" / host[1] / "release"


def fuzz(program: Path, seconds: int, seed: int) -> tuple[int, str]:
    """Run a target for some seconds; return its number of inputs, and its errors if it failed."""
    corpus, artifacts = FUZZ / "corpus" / program.name, FUZZ / "artifacts" / program.name
    for folder in (corpus, artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(seeds()[program.name]):
        (corpus / f"seed-{number}").write_bytes(text)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2048"]
    # libFuzzer takes 0 for a seed of its own choice.
    command = [str(program), str(corpus), f"-artifact_prefix={artifacts}/", f"-seed={seed + 1}", *limits]
    command.append("-print_final_stats=1")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    inputs = re.search(r"^stat::number_of_executed_units:\s+(\d+)", done.stderr, re.MULTILINE)
    return int(inputs[1]) if inputs else 0, done.stderr[-4000:] if done.returncode else ""


def campaign(programs: Sequence[Path], seconds: int, seed: int) -> tuple[Mapping[str, int], list[str]]:
    """Run each target; return how many inputs each had, and the reports of those that failed."""
    counts, failed = {}, []
    for program in programs:
        counts[program.name], report = fuzz(program, seconds, seed)
        if report:
            failed.append(f"{program.name}: {report}")
    return counts, failed


def main(arguments: Sequence[str]) -> int:
    """Build the targets and run them."""
    options = campaign_options("fuzz", __doc__, "seconds", SECONDS)
    options.add_argument("--only", default=",".join(targets()), metavar="TARGET,...")
    chosen = options.parse_args(arguments)
    folder = build()
    programs = [folder / name for name in chosen.only.split(",")]
    return run_campaign(lambda _: campaign(programs, chosen.seconds, chosen.seed), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
