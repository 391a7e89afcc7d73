"""The command line as a process: help, pipes, terminals, memory, and ``idmerge generate``."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

import idmerge
from idmerge.cli.group import COMMANDS, commands
from idmerge.testing import events

IDMERGE = [sys.executable, "-m", "idmerge"]


def invoke(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def process(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*IDMERGE, *map(str, arguments)], input=stdin, capture_output=True, check=False)


def ndjson(stated: Any) -> bytes:
    return "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in stated).encode()


# Help


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help_with_an_example(command: list[str], flag: str) -> None:
    text = invoke(*command, flag)
    assert text.startswith(" ".join(["Usage: commands", *command]))
    assert f"  Example:\n    idmerge {' '.join(command)}" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_names_every_command() -> None:
    text = invoke("-h")
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_the_example_of_the_help_finds_its_id(tmp_path: Path) -> None:
    example = next(line.split() for line in invoke("-h").splitlines() if line.startswith("    idmerge show"))
    invoke("generate", "-o", tmp_path / "events.ndjson")
    assert "built the cluster" in invoke("show", example[2], tmp_path / "events.ndjson")


def test_the_version_is_that_of_the_package() -> None:
    assert process("--version").stdout.decode() == f"idmerge, version {idmerge.__version__}\n"


def test_an_unknown_command_is_a_wrong_call() -> None:
    result = process("dissolve")
    assert result.returncode == 2
    assert b"No such command 'dissolve'" in result.stderr


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        (["resolv", "e.ndjson"], "No such command 'resolv'. Did you mean 'resolve'?"),
        (["keepapart"], "No such command 'keepapart'. Did you mean 'keep-apart'?"),
        (["ask", "conversions", "e"], "No such command 'conversions'. Did you mean 'conversion'?"),
        (["resolve", "--stricd", "e"], "No such option '--stricd'. Did you mean '--strict'?"),
        (["events.ndjson"], "No such command 'events.ndjson'."),
        (["postgresql://ada:secret@host/db"], "No such command 'postgresql://ada@host/db'."),
    ],
    ids=str,
)
def test_a_typo_is_answered_with_the_command_or_option_like_it(typo: list[str], meant: str) -> None:
    result = CliRunner().invoke(commands, typo, prog_name="idmerge")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"Error: {meant}"


def test_without_click_one_line_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from idmerge.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stderr == b"idmerge: error: the command line needs click: pip install click rich pyarrow\n"


# Pipes and terminals


def test_commands_work_in_a_pipe() -> None:
    made = process("generate", "--events", 2000)
    resolved = process("resolve", "-", stdin=made.stdout)
    assert (made.returncode, resolved.returncode) == (0, 0)
    assert resolved.stdout.startswith(b"distinct_id,canonical_id,cluster_size\n")
    assert resolved.stderr.startswith(b"malformed: ") or resolved.stderr.startswith(
        b"read        2,000 events"
    )


@pytest.mark.parametrize("command", ["generate", "resolve"])
def test_a_reader_that_closes_the_pipe_early_causes_no_noise(command: str, tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_bytes(
        ndjson({"event": "x", "properties": {"distinct_id": f"user-{n}"}} for n in range(50_000))
    )
    arguments = ["generate", "--events", "50000"] if command == "generate" else ["resolve", str(path)]
    with subprocess.Popen([*IDMERGE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 1


def test_without_a_terminal_there_is_no_bar_and_no_rich(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(ndjson(events(3000)))
    program = "import sys; sys.argv[0] = 'idmerge'; import atexit; from idmerge.cli import main\n"
    program += "atexit.register(lambda: print('rich' in sys.modules)); main()"
    command = [sys.executable, "-c", program, "resolve", str(tmp_path / "f.ndjson")]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stdout.endswith(b"\nFalse\n")
    assert b"\x1b" not in result.stderr


def test_an_id_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_bytes(ndjson([{"event": "x", "properties": {"distinct_id": "日本"}}]))
    command = [*IDMERGE, "show", "日本", str(path)]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert result.stdout.startswith(b"canonical   \\u65e5\\u672c\n")


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen([*IDMERGE, "show", "user-1", str(path)], stdout=subprocess.PIPE) as running:
        path.write_bytes(ndjson([{"event": "x", "properties": {"distinct_id": "user-1"}}]))
        assert running.communicate()[0].startswith(b"canonical   user-1\n")


def test_a_command_is_loaded_without_the_others() -> None:
    code = "import sys; from idmerge.cli.group import commands\n"
    code += "commands(['generate', '--events', '1'], standalone_mode=False)\n"
    code += "print(sorted(name for name in sys.modules if name.startswith('idmerge.cli.commands.')))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.endswith("['idmerge.cli.commands.generate']\n")
    assert "No such command 'options'" in invoke("options", code=2)


# Memory


def test_ten_times_the_events_of_the_same_ids_take_no_more_memory(tmp_path: Path) -> None:
    stated = ndjson(events(30_000, seed=3))

    def peak(times: int) -> int:
        path = tmp_path / f"{times}.ndjson.gz"
        path.write_bytes(gzip.compress(stated, 1) * times)
        program = (
            "import resource, sys; from idmerge.cli.group import commands\n"
            "commands(sys.argv[1:], standalone_mode=False)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", program, "resolve", str(path), "-o", str(tmp_path / "m.csv")]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    once = peak(1)
    assert peak(10) < 1.1 * once


# generate


def test_generate_writes_the_events_of_the_workload() -> None:
    arguments = ["generate", "--events", 500, "--seed", 9, "--identity-share", 0.3]
    assert invoke(*arguments) == ndjson(events(500, seed=9, identity_share=0.3)).decode()


def test_generate_writes_a_thousand_events_by_default() -> None:
    assert invoke("generate") == ndjson(events(1000)).decode()
    assert invoke("generate", "--events", 0) == ""


@pytest.mark.parametrize("name", ["f.ndjson", "f.jsonl", "f.ndjson.gz", "f.jsonl.zst"])
def test_generate_compresses_as_the_suffix_says(name: str, tmp_path: Path) -> None:
    assert invoke("generate", "-o", tmp_path / name) == ""
    content = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    elif name.endswith(".zst"):
        content = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read()
    assert content == ndjson(events(1000))


def test_generate_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    invoke("generate", "-o", tmp_path / "a.ndjson.gz")
    invoke("generate", "-o", tmp_path / "b.ndjson.gz")
    assert (tmp_path / "a.ndjson.gz").read_bytes() == (tmp_path / "b.ndjson.gz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "events.parquet"], "expected one of .ndjson, .ndjson.gz"),
        (["--events", "-1"], "is not in the range"),
        (["--identity-share", "2"], "is not in the range"),
    ],
)
def test_generate_refuses_a_wrong_call(arguments: list[str], message: str) -> None:
    assert message in invoke("generate", *arguments, code=2)
