"""The log: what was acknowledged is read back exactly, whatever happens to the tail or the disk."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import _core
from idmerge.errors import BusyError, LogError
from idmerge.server.log import log as log_module
from idmerge.server.log.log import Log
from idmerge.server.log.records import Record
from idmerge.server.log.segments import HEAD, MAGIC, Frame, frame, frame_at
from log_records import flat, kept, record, records
from parameter_names import stable

appends = st.lists(st.lists(records(), min_size=1, max_size=3), max_size=8)


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


def left_by_a_crash(directory: Path, tail: bytes = b"") -> None:
    """Make a closed log what a killed process leaves, with ``tail`` behind what is on disk."""
    (directory / "end").unlink()
    with segments(directory)[-1].open("ab") as file:
        file.write(tail)


def group_of(group: list[Record], offset: int) -> bytes:
    begin, pieces = offset, []
    for number, one in enumerate(group, 1):
        pieces.append(b"".join(frame(one, offset, begin, ends_group=number == len(group))))
        offset += len(pieces[-1])
    return b"".join(pieces)


# Laws


@given(
    st.lists(
        st.tuples(appends, st.lists(records(), min_size=1, max_size=4), st.floats(0, 1), st.booleans()),
        max_size=4,
    ),
    st.integers(1, 400),
)
@settings(max_examples=40)
def test_what_was_acknowledged_is_read_back_after_any_crashes(
    lives: list[tuple[list[list[Record]], list[Record], float, bool]], segment_bytes: int
) -> None:
    acknowledged: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        for written, torn, share, is_killed in lives:
            with closing(Log(directory, segment_bytes=segment_bytes)) as log:
                assert kept(log) == acknowledged
                for append in written:
                    assert log.append_now(append) == log.end
                    acknowledged += append
                assert kept(log) == acknowledged
                end = log.end
            if is_killed:
                tail = group_of(torn, end)
                left_by_a_crash(directory, tail[: int(share * (len(tail) - 1))])
        with closing(Log(directory)) as log:
            assert kept(log) == acknowledged
            offsets = [0, *(offset for _, offset in log.read(0))]
            for number, offset in enumerate(offsets):
                assert kept(log, offset) == acknowledged[number:]


@given(appends.filter(bool), st.data())
@settings(max_examples=100)
def test_damage_never_yields_a_wrong_record(written: list[list[Record]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        with closing(Log(directory, segment_bytes=200)) as log:
            ends = [0, *(log.append_now(append) for append in written)]
        if data.draw(st.booleans()):
            (directory / "end").unlink()
        path = data.draw(st.sampled_from([path for path in segments(directory) if path.stat().st_size]))
        content = bytearray(path.read_bytes())
        base = int(path.stem)
        # Of one group alone: where the last two are damaged, both could be what a crash tore.
        begin, end = data.draw(
            st.sampled_from([(a, b) for a, b in pairwise(ends) if base <= a < base + len(content)])
        )
        begin, end = begin - base, end - base
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(begin, end - 1))
            content[place] ^= data.draw(st.integers(1, 255))
        is_changed = path.read_bytes() != content
        path.write_bytes(content)
        found: list[Record] = []
        refusal = None
        try:
            with closing(Log(directory)) as log:
                is_cut = log.cut > 0
                for one, _ in log.read(0):
                    found.append(one)
        except LogError as error:
            refusal = str(error)
        expected = flat(written)
        assert found == expected[: len(found)]
        # Only the last group can be taken for one that a crash tore, and then it is said.
        assert refusal is None or path.name in refusal
        assert refusal or not is_changed or (is_cut and len(found) == len(flat(written[:-1])))


@given(st.lists(records(), min_size=2, max_size=4), st.data())
@settings(max_examples=40)
def test_a_group_of_which_any_part_is_missing_on_disk_is_cut_off(
    torn: list[Record], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        with closing(Log(directory)) as log:
            end = log.append_now([record()])
        tail = bytearray(group_of(torn, end))
        start = data.draw(st.integers(0, len(tail) - 1))
        stop = data.draw(st.integers(start + 1, len(tail)))
        tail[start:stop] = bytes(stop - start)  # A page that was not written.
        is_torn = tail != group_of(torn, end)
        left_by_a_crash(directory, tail)
        with closing(Log(directory)) as log:
            assert kept(log) == [record()] + [] * is_torn + torn * (not is_torn)
            assert log.cut == len(tail) * is_torn
            assert segments(directory)[-1].stat().st_size == log.end


# Appending


def test_concurrent_appends_are_flushed_in_groups_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes = []

    def slow(descriptor: int) -> None:
        flushes.append(descriptor)
        time.sleep(0.01)
        os.fsync(descriptor)

    monkeypatch.setattr(log_module, "_flush", slow)

    async def client(log: Log, name: int) -> None:
        for number in range(5):
            end = await log.append([record({"n": number, "of": name}), record({"n": number, "of": name})])
            assert log.end >= end

    async def load(log: Log) -> None:
        await asyncio.gather(*(client(log, name) for name in range(20)))

    with closing(Log(tmp_path / "log")) as log:
        asyncio.run(load(log))
        assert len(flushes) < 20
        lines = [one.lines for one in kept(log)]
        for name in range(20):
            mine = [line for line in lines if b'"of": %d}' % name in line]
            assert mine == [record({"n": number // 2, "of": name}).lines for number in range(10)]


def test_an_append_that_is_cancelled_does_not_harm_the_others(tmp_path: Path) -> None:
    async def load(log: Log) -> None:
        tasks = [asyncio.create_task(log.append([record({"n": number})])) for number in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks[:3], *tasks[4:])

    with closing(Log(tmp_path / "log")) as log:
        asyncio.run(load(log))
        assert kept(log) == [record({"n": number}) for number in range(10)]


def test_too_many_waiting_bytes_are_refused_and_nothing_of_them_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    monkeypatch.setattr(log_module, "_flush", lambda _: may_go_on.wait(10))
    with closing(Log(tmp_path / "log", waiting_bytes=1000)) as log:
        large = record({"large": "x" * 2000})
        others = threading.Thread(target=log.append_now, args=([large],))
        others.start()  # Alone it is taken, whatever its size.
        while not log.waiting:
            time.sleep(0.001)
        with pytest.raises(BusyError, match=r"bytes wait to be written, and at most 1000 may"):
            log.append_now([record()])
        may_go_on.set()
        others.join()
        log.append_now([record({"later": 1})])
        assert kept(log) == [large, record({"later": 1})]


def test_a_closed_log_writes_what_waits_and_takes_no_more(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.append_now([record()])
    log.close()
    log.close()
    with pytest.raises(BusyError, match="the log is closed"):
        log.append_now([record()])


def test_a_reader_waits_for_what_is_appended(tmp_path: Path) -> None:
    with closing(Log(tmp_path / "log")) as log:
        assert not log.wait_beyond(0, timeout=0.01)
        threading.Timer(0.05, log.append_now, [[record()]]).start()
        assert log.wait_beyond(0, timeout=10)
        assert kept(log) == [record()]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lines": b"{}"}, "must each end in a newline"),
        ({"lines": b""}, "must each end in a newline"),
        ({"project": ""}, "must have 1 to 255 bytes, got 0"),
        ({"project": "é" * 128}, "must have 1 to 255 bytes, got 256"),
        ({"stream": "people"}, "no record is of 'people'"),
        ({"source": "export"}, "by 'export'"),
        ({"received": -1}, "milliseconds since 1970"),
    ],
    ids=stable,
)
def test_what_is_no_record_is_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with closing(Log(tmp_path / "log")) as log:
        with pytest.raises(ValueError, match=message):
            log.append_now([record()._replace(**fields)])
        assert (kept(log), log.waiting) == ([], 0)


# A disk that is full or broken


class Broken:
    """Fails as a disk does, while it is told to."""

    def __init__(self, number: int, work: Callable[..., object], *, after: int = 0) -> None:
        self.error, self.work, self.left = OSError(number, os.strerror(number)), work, after
        self.is_broken = True

    def __call__(self, descriptor: int, *content: bytes) -> None:
        if not self.is_broken:
            self.work(descriptor, *content)
            return
        for part in content:
            os.write(descriptor, part[: len(part) // 2])
        raise self.error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("part", ["_write_all", "_flush"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_group_that_cannot_be_written_is_cut_off_and_the_log_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, number: int, before: int
) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory)) as log:
        first = [record({"n": n}) for n in range(before)]
        log.append_now(first)
        end = log.end
        broken = Broken(number, getattr(log_module, part))
        monkeypatch.setattr(log_module, part, broken)
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(number)) as raised:
                log.append_now([record({"lost": 1}), record({"lost": 2})])
            assert raised.value.errno == number
            assert str(directory) in str(raised.value.filename)
            assert log.failure is not None
        assert (log.end, kept(log)) == (end, first)
        assert segments(directory)[-1].stat().st_size in {0, end}
        broken.is_broken = False
        log.append_now([record({"later": 1})])
        assert (log.failure, kept(log)) == (None, [*first, record({"later": 1})])
    with closing(Log(directory)) as log:
        assert kept(log) == [*first, record({"later": 1})]
    # Of a file whose flush failed, nothing more is expected.
    assert len(segments(directory)) == (2 if part == "_flush" and before else 1)


def test_every_caller_of_a_group_that_fails_gets_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(log: Log) -> list[Any]:
        waiting = (log.append([record()]) for _ in range(5))
        return await asyncio.gather(*waiting, return_exceptions=True)

    with closing(Log(tmp_path / "log")) as log:
        monkeypatch.setattr(log_module, "_flush", Broken(errno.ENOSPC, os.fsync))
        errors = asyncio.run(load(log))
        assert {error.errno for error in errors} == {errno.ENOSPC}
        assert len({id(error) for error in errors}) == 5
        monkeypatch.undo()


def test_a_log_finds_out_by_itself_that_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "RETRY", 0.01)
    with closing(Log(tmp_path / "log")) as log:
        log.append_now([record()])
        broken = Broken(errno.ENOSPC, log_module._write_all)
        monkeypatch.setattr(log_module, "_write_all", broken)
        with pytest.raises(OSError, match="No space"):
            log.append_now([record()])
        time.sleep(0.05)
        assert log.failure is not None
        broken.is_broken = False
        end = time.monotonic() + 10
        while log.failure is not None:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert kept(log) == [record()]
    assert segments(tmp_path / "log")[0].stat().st_size == log.end


def test_a_segment_whose_name_cannot_be_flushed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Log(tmp_path / "log", segment_bytes=1)) as log:
        log.append_now([record({"n": 1})])
        broken = Broken(errno.EIO, lambda _: None)
        monkeypatch.setattr(log_module, "sync_directory", broken)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                log.append_now([record({"n": 2})])
        monkeypatch.undo()
        log.append_now([record({"n": 3})])
        assert kept(log) == [record({"n": 1}), record({"n": 3})]


# Opening


def test_a_log_has_one_process_at_a_time(tmp_path: Path) -> None:
    with closing(Log(tmp_path / "log")), pytest.raises(LogError, match="is another server running there"):
        Log(tmp_path / "log")
    Log(tmp_path / "log").close()


def test_damage_before_a_whole_record_names_file_and_offset(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory)) as log:
        first = log.append_now([record({"n": 1})])
        log.append_now([record({"n": 2})])
        log.append_now([record({"n": 3})])
    left_by_a_crash(directory)
    path = segments(directory)[0]
    content = bytearray(path.read_bytes())
    content[first + HEAD + 6] ^= 1
    path.write_bytes(content)
    message = rf"{path.name}: the log is damaged at offset {first}: whole records follow at {first + first}"
    with pytest.raises(LogError, match=message):
        Log(directory)
    assert path.read_bytes() == content


def test_damage_that_comes_while_the_log_is_open_is_found_by_the_reader(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory)) as log:
        first = log.append_now([record({"n": 1})])
        log.append_now([record({"n": 2})])
        with segments(directory)[0].open("r+b") as file:
            file.seek(first + HEAD)
            file.write(b"?")
        found = []
        with pytest.raises(LogError, match=f"damaged at offset {first}: no whole record is there"):
            found.extend(one for one, _ in log.read(0))
        with pytest.raises(LogError, match=f"damaged at offset {first - 1}"):
            next(log.read(first - 1))
        with pytest.raises(LogError, match=f"holds the offsets 0 to {log.end}, and not {log.end + 1}"):
            next(log.read(log.end + 1))


def remove_a_segment(directory: Path) -> None:
    segments(directory)[1].unlink()


def cut_a_segment(directory: Path) -> None:
    os.truncate(segments(directory)[1], 10)


def cut_the_last_one(directory: Path) -> None:
    os.truncate(segments(directory)[-1], 10)


def remove_all(directory: Path) -> None:
    for path in segments(directory):
        path.unlink()


@pytest.mark.parametrize("harm", [remove_a_segment, cut_a_segment, cut_the_last_one, remove_all])
def test_a_log_of_which_a_part_is_missing_is_refused(harm: Callable[[Path], None], tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory, segment_bytes=1)) as log:
        for number in range(4):
            log.append_now([record({"n": number})])
    harm(directory)
    before = {path: path.read_bytes() for path in segments(directory)}
    for _ in range(2):
        with pytest.raises(LogError, match="the log is damaged at offset"):
            Log(directory)
    assert {path: path.read_bytes() for path in segments(directory)} == before


def test_a_log_must_reach_what_a_journal_has_applied_of_it(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory)) as log:
        first = log.append_now([record()])
        end = log.append_now([record()])
    left_by_a_crash(directory)
    os.truncate(segments(directory)[0], end - 1)
    with pytest.raises(LogError, match=f"damaged at offset {first}: no whole record .* went on to {end}"):
        Log(directory, at_least=end)
    with closing(Log(directory, at_least=first)) as log:
        assert (log.end, log.cut) == (first, end - 1 - first)


def test_a_log_that_is_closed_on_a_full_disk_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> int:
        path.touch()  # The name has room where the content has none.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = Log(tmp_path)
    log.append_now([record()])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        log.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("end")) == []
    with closing(Log(tmp_path)) as again:
        assert kept(again) == [record()]


def test_a_mark_of_the_end_that_holds_something_else_is_named(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    Log(directory).close()
    (directory / "end").write_text("soon")
    with pytest.raises(LogError, match="end: an offset is expected"):
        Log(directory)


def test_a_segment_from_another_place_is_not_read(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with closing(Log(directory)) as log:
        first = log.append_now([record()])
    shutil.copy(segments(directory)[0], directory / f"{first:020}.log")
    (directory / "end").unlink()
    with closing(Log(directory)) as log:
        assert (kept(log), log.cut) == ([record()], first)


def test_no_json_holds_the_first_bytes_of_a_frame() -> None:
    with pytest.raises(UnicodeDecodeError):
        MAGIC.decode()
    assert b"\0" in MAGIC


def test_a_frame_has_the_form_of_the_first_version() -> None:
    lines = b'{"a": 1}\n'
    sent = Record("é-shop", "updates", "import", 1_700_000_000_123, lines)
    head = "ff004c01 002fa813 10000000 63040000 7b68e5cf8b010000 01 00 01 07"
    written = bytes.fromhex(head) + "é-shop".encode() + lines
    assert b"".join(frame(sent, 5_000_000_123, 4_999_999_000, ends_group=True)) == written
    assert (written[: len(MAGIC)], len(bytes.fromhex(head))) == (MAGIC, HEAD)
    assert frame_at(written, 0, 5_000_000_123) == Frame(sent, 5_000_000_167, 4_999_999_000, ends_group=True)


def test_a_frame_of_an_unknown_stream_is_no_record() -> None:
    for code in (3, 255):
        front = _core.frame_front("shop", code, 0, 0, b"\n", offset=0, group=0, ends_group=True)
        assert frame_at(front + b"\n", 0, 0) is None


def test_records_longer_than_what_is_read_at_once_are_read_back_and_their_damage_is_found(
    tmp_path: Path,
) -> None:
    long = record()._replace(lines=b'{"a": "' + b"x" * (3 * log_module.PART_BYTES) + b'"}\n')
    written = [record({"n": 1}), long, record({"n": 2}), long, record({"n": 3})]
    with closing(Log(tmp_path / "log", segment_bytes=2 * log_module.PART_BYTES)) as log:
        ends = [log.append_now([one]) for one in written]
        assert kept(log) == written
        assert kept(log, ends[0]) == written[1:]
        path = segments(tmp_path / "log")[0]
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(content)
        with pytest.raises(LogError, match=f"damaged at offset {ends[0]}: "):
            kept(log)
