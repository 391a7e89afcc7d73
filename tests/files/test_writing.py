"""Outputs take their place whole, under temporary names of their own, and leave nothing behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from idmerge.files import replacing, replacing_directory, temporary
from idmerge.files.temporary import TemporaryNames

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is taken for abandoned there")

DYING = """
import os, sys
from idmerge.files import replacing, replacing_directory
if sys.argv[1] == "file":
    with replacing(sys.argv[2]) as stream:
        stream.write(b"half")
        stream.flush()
        os._exit(0)
with replacing_directory(sys.argv[2], lambda _: None) as directory:
    (directory / "half").touch()
    os._exit(0)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def write(path: str, content: bytes = b"new") -> None:
    with replacing(path) as stream:
        stream.write(content)


def make(path: str, content: str = "new") -> None:
    with replacing_directory(path, lambda _: None) as directory:
        (directory / "part").write_text(content, encoding="utf-8")


def die(kind: str, path: str) -> None:
    subprocess.run([sys.executable, "-c", DYING, kind, path], check=True)


def mode_of(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


# Names


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_dead_writer_with_the_same_process_number_is_in_nobodys_way(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    for _ in range(3):
        die(kind, "out")
        assert len(names()) == 2
    write("out") if kind == "file" else make("out")
    assert names() == ["out"]


def test_a_living_writer_of_the_same_output_is_left_alone() -> None:
    with replacing("out") as slow:
        slow.write(b"slow")
        with replacing_directory("dir", lambda _: None) as directory:
            (directory / "slow").touch()
            write("out", b"fast")
            make("dir", "fast")
            assert Path("out").read_bytes() == b"fast"
            assert Path("dir/part").read_text(encoding="utf-8") == "fast"
        assert names("dir") == ["slow"]
    assert Path("out").read_bytes() == b"slow"
    assert names() == ["dir", "out"]


def test_what_merely_looks_similar_is_not_removed() -> None:
    label = temporary._label(Path("out"))
    mine = {
        ".out.1234.tmp": b"mine",
        ".out.1234.old": b"mine",
        ".out.idmerge-0123456789abcdef.lock": b"mine",
        ".out.idmerge-0123456789abcdef.new": b"mine",
        ".out.idmerge-0123456789abcdee.new": b"mine",  # It has no lock.
        ".out.idmerge-0123456789abcde.lock": label,
        ".out.idmerge-0123456789ABCDEF.lock": label,
        ".out.idmerge-1123456789abcdef.lock": label + b"and more",
        ".out.idmerge-2123456789abcdef.lock": temporary._label(Path("other")),
        ".out.csv.idmerge-0123456789abcdef.lock": label,
        "out.idmerge-0123456789abcdef.lock": label,
    }
    for name, content in mine.items():
        Path(name).write_bytes(content)
    Path(".out.idmerge-3123456789abcdef.lock").mkdir()
    Path("target").write_bytes(label)
    Path(".out.idmerge-4123456789abcdef.lock").symlink_to("target")
    os.mkfifo(".out.idmerge-5123456789abcdef.lock")
    before = names()
    write("out")
    assert names() == sorted([*before, "out"])
    assert {name: Path(name).read_bytes() for name in mine} == mine


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr(os, "urandom", lambda _: bytes.fromhex(next(tokens)))
    Path("precious").write_bytes(b"precious")
    Path(".out.idmerge-0000000000000000.lock").symlink_to("precious")
    write("out")
    assert Path("precious").read_bytes() == b"precious"
    monkeypatch.setattr(os, "urandom", lambda _: bytes.fromhex("2" * 16))
    Path(".out.idmerge-2222222222222222.new").symlink_to("precious")
    with pytest.raises(FileExistsError):
        write("out")
    assert Path("precious").read_bytes() == b"precious"


def test_where_no_lock_can_be_had_nothing_is_taken_for_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    die("file", "out")
    left = names()
    for fcntl in (temporary.fcntl, None):
        monkeypatch.setattr(temporary, "fcntl", fcntl)
        if fcntl is not None:
            monkeypatch.setattr(fcntl, "flock", refusing)
        write("out")
        assert names() == sorted([*left, "out"])


def test_a_writer_whose_lock_was_taken_at_its_birth_takes_another_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, seen = temporary._try_lock, []

    def late(held: object) -> bool | None:
        if not seen:
            seen.append(held)
            lock = next(Path().glob(".out.*.lock"))
            monkeypatch.setattr(temporary, "_try_lock", original)
            (left,) = temporary.abandoned(Path("out").absolute())
            left.remove()
            assert not lock.exists()
        return original(held)  # type: ignore[arg-type]

    monkeypatch.setattr(temporary, "_try_lock", late)
    write("out")
    assert seen
    assert names() == ["out"]


def test_a_name_may_be_as_long_as_the_system_allows() -> None:
    for name in ("x" * 251 + ".csv", "é" * 125 + ".csv"):
        write(name)
        die("file", name)
        make(name[:-4])
        die("directory", name[:-4])
        write(name)
        make(name[:-4])
        assert names() == sorted([name, name[:-4]])
        Path(name).unlink()
        (Path(name[:-4]) / "part").unlink()
        Path(name[:-4]).rmdir()


def test_an_object_that_is_forgotten_removes_its_names() -> None:
    made = TemporaryNames.beside(Path("out").absolute())
    made.new.touch()
    assert len(names()) == 2
    del made
    assert names() == []


def test_a_fork_leaves_its_parents_names() -> None:
    code = """
import os
from idmerge.files import replacing
with replacing("out") as stream:
    stream.write(b"new")
    stream.flush()
    if not (child := os.fork()):
        raise SystemExit
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert names() == ["out"]
    assert Path("out").read_bytes() == b"new"


BETWEEN = """
import os, signal
from pathlib import Path
from idmerge.files import replacing_directory, writing
writing.exchange = lambda *_: False
original = Path.rename
def rename(self, target):
    if self.suffix == ".new":
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, target)
Path.rename = rename
with replacing_directory("out", lambda _: None) as directory:
    (directory / "part").write_text("lost")
"""


def _check_old_and_fail() -> None:
    assert Path("out/part").read_text(encoding="utf-8") == "old"
    raise ZeroDivisionError


def test_a_directory_whose_writer_was_killed_between_two_renames_is_put_back() -> None:
    for _ in range(2):
        make("out", "old")
        assert subprocess.run([sys.executable, "-c", BETWEEN], check=False).returncode == -9
        assert "out" not in names()
        killed = "out: a writer was killed while it replaced this directory"
        with (
            pytest.warns(UserWarning, match=killed),
            suppress(ZeroDivisionError),
            replacing_directory("out", lambda _: None),
        ):
            _check_old_and_fail()
        assert Path("out/part").read_text(encoding="utf-8") == "old"
        assert names() == ["out"]


# Permissions


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_an_old_output_passes_on_its_permissions_and_a_new_one_has_those_of_the_system(umask: int) -> None:
    before = os.umask(umask)
    try:
        write("out")
        make("dir")
        assert (mode_of("out"), mode_of("dir")) == (0o666 & ~umask, 0o777 & ~umask)
        for file, directory in ((0o640, 0o750), (0o600, 0o700), (0o444, 0o755), (0o664, 0o775)):
            Path("out").chmod(file)
            Path("dir").chmod(directory)
            with replacing("out") as stream:
                assert mode_of(stream.name) & ~file & ~0o600 == 0
            with replacing_directory("dir", lambda _: None) as made:
                assert mode_of(made) & ~directory & ~0o700 == 0
            assert (mode_of("out"), mode_of("dir")) == (file, directory)
    finally:
        os.umask(before)


# Places


def test_a_link_stays_and_its_target_is_replaced() -> None:
    Path("there").mkdir()
    for link, target in (("link", "there/out"), ("link to a directory", "there/dir")):
        Path(link).symlink_to(target)
    for content in ("first", "second"):
        write("link", content.encode())
        make("link to a directory", content)
        assert Path("there/out").read_text(encoding="utf-8") == content
        assert Path("there/dir/part").read_text(encoding="utf-8") == content
        assert names("there") == ["dir", "out"]
    assert Path("link").is_symlink()
    assert Path("link to a directory").is_symlink()


@pytest.mark.parametrize("path", ["nowhere/out", "file/out", "folder", "", "x" * 300, "loop"])
def test_a_place_where_nothing_can_be_made_is_named(path: str) -> None:
    Path("file").touch()
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    before = names()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - what it names is asserted
        write(path)
    assert caught.value.filename == path
    if path != "folder":
        with pytest.raises(OSError) as caught:  # noqa: PT011 - what it names is asserted
            make(path)
        assert caught.value.filename == path
    assert names() == before


def test_a_full_disk_is_told_with_the_output_and_leaves_nothing() -> None:
    code = """
import resource, signal, sys
from idmerge.files import replacing, replacing_directory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for place in ("out", "dir", "/dev/full"):
    try:
        if place == "dir":
            with replacing_directory(place, lambda _: None) as directory:
                (directory / "part").write_bytes(b"x" * 30_000)
        else:
            with replacing(place) as stream:
                stream.write(b"x" * 30_000)
    except OSError as error:
        print(error.filename, error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "out File too large",
        "dir File too large",
        "/dev/full No space left on device",
    ]
    assert names() == []


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_as_it_is_wherever_it_goes(place: str) -> None:
    Path("link").symlink_to("/dev/stdout")
    code = f"""
import sys
from idmerge.files import replacing
print("before", flush=True)
with replacing({place!r}) as stream:
    stream.write(b"output\\n")
print("after")
"""
    with Path("out").open("a") as out:
        out.write("old\n")
        out.flush()
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert Path("out").read_text(encoding="utf-8") == "old\nbefore\noutput\nafter\n"
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert piped.stdout == b"before\noutput\nafter\n"
    assert names() == ["link", "out"]


# Two writers


@pytest.mark.parametrize("exchanges", [True, False])
def test_writers_at_the_same_time_leave_one_whole_directory(
    exchanges: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not exchanges:
        monkeypatch.setattr("idmerge.files.writing.exchange", lambda *_: False)
    errors: list[BaseException] = []

    def often(number: int) -> None:
        try:
            for _ in range(20):
                with replacing_directory("out", lambda _: None) as directory:
                    for part in range(3):
                        (directory / f"{number}-{part}").touch()
                write("file", b"%d" % number * 10_000)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=often, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names() == ["file", "out"]
    assert len({name[0] for name in names("out")}) == 1
    assert len(names("out")) == 3
    assert len(set(Path("file").read_bytes())) == 1


def test_a_directory_that_became_anothers_meanwhile_is_not_replaced() -> None:
    def refuses(target: Path) -> None:
        if (target / "precious").exists():
            raise ValueError("precious")

    make("out")
    with (
        pytest.raises(ValueError, match="precious"),
        replacing_directory("out", refuses),
    ):
        Path("out/precious").touch()
    assert names() == ["out"]
    assert names("out") == ["part", "precious"]
