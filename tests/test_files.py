"""Writing by rename, locks, and removing no more than what was written."""

import threading
import time

import pytest

from bayne import files
from bayne.files import locked, remove_files, replacing


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_two_that_write_the_same_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as one, replacing(path) as two:
        two.write_text("two")
        one.write_text("one")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["one"]


def test_one_at_a_time_holds_a_lock(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path / "a"):
            inside.append(0)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    (tmp_path / ".a.lock").touch()
    with locked(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_other_files_stay(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("part-1.npz", ".part-2.npz.0123abcd.part", "part-of-a-thesis.txt"):
        (own / name).touch()
    remove_files(own, "part-*.npz")
    assert [path.name for path in own.iterdir()] == ["part-of-a-thesis.txt"]
    remove_files(own, "part-*.txt")
    assert not own.exists()
    remove_files(own, "part-*.txt")
