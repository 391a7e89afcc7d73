"""Replacing a file: its content is on disk before the rename, and its name after."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from idmerge import DurableResolver
from idmerge.files import replacing, replacing_directory, syncing, writing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a descriptor is")


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is flushed and renamed from here on, by suffix, in order of one thread."""
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    fsync = os.fsync

    def shown(path: str | Path) -> str:
        return str(Path(path).relative_to(tmp_path)).rpartition(".")[2] or "."

    def flush(descriptor: int) -> None:
        seen.append(f"flush {shown(Path(f'/proc/self/fd/{descriptor}').readlink())}")
        fsync(descriptor)

    def moving(original: Callable[..., object], word: str) -> Callable[..., object]:
        def moved(first: str | Path, second: str | Path) -> object:
            seen.append(f"{word} {shown(first)} {shown(second)}")
            return original(first, second)

        return moved

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", moving(os.replace, "rename"))
    monkeypatch.setattr(os, "rename", moving(os.rename, "rename"))
    monkeypatch.setattr(writing, "exchange", moving(writing.exchange, "exchange"))
    monkeypatch.setattr(syncing, "THREADS", 1)
    monkeypatch.setattr(syncing, "WORTH_THREADS", 2)
    return seen


def test_a_file_is_flushed_then_renamed_then_its_directory_is_flushed(steps: list[str]) -> None:
    with replacing("out") as stream:
        stream.write(b"new")
    assert steps == ["flush new", "rename new out", "flush ."]
    steps.clear()
    with replacing("out") as stream:
        Path(stream.name).write_bytes(b"by others")
        stream.close()
    assert steps == ["flush new", "rename new out", "flush ."]


@pytest.mark.parametrize("exchanges", [True, False])
def test_all_files_of_a_directory_are_flushed_and_all_directories(
    exchanges: bool,  # noqa: FBT001
    steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not exchanges:
        monkeypatch.setattr(writing, "exchange", lambda *_: False)
    flushes = ["flush new/a", "flush new/deeper/b", "flush new", "flush new/deeper"]
    for is_there in (False, True):
        with replacing_directory("out", lambda _: None) as directory:
            (directory / "deeper").mkdir()
            (directory / "a").touch()
            (directory / "deeper" / "b").touch()
        moves = ["rename new out"]
        if is_there:
            moves = ["exchange new out"] if exchanges else ["rename out old", "rename new out"]
        assert steps == [*flushes, *moves, "flush ."]
        steps.clear()


def test_a_checkpoint_is_flushed_then_renamed_then_its_directory_is_flushed(steps: list[str]) -> None:
    with DurableResolver.open("j.idmerge") as resolver:
        resolver.merge("a", "b")
        resolver.commit()
        steps.clear()
        resolver.checkpoint()
        assert len(steps) == 3
        flushed, renamed, directory = steps
        assert renamed.startswith(f"rename {flushed.removeprefix('flush ')} ")
        assert directory == "flush ."
