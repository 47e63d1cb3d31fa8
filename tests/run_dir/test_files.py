"""Files that are whole or absent, and names that are free."""

import pytest

from vibe_rl.checkpoint.eqx import save_eqx
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.files import first_free, numbered_names, write_atomically
from vibe_rl.tracking.jsonl import MetricsLogger


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with write_atomically(path) as file:
        file.write(b"new and ")
        assert path.read_bytes() == b"old"
        file.write(b"longer")
    assert path.read_bytes() == b"new and longer"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), write_atomically(path) as file:
        file.writelines([b"ne", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_what_the_file_system_refuses_is_a_sentence_that_names_the_file(tmp_path):
    refused = pytest.raises(ConfigError, match=r"a/table\.csv cannot be written \(No such file")
    with refused, write_atomically(tmp_path / "a" / "table.csv"):
        raise AssertionError("opened")
    (tmp_path / "agent.eqx").mkdir()
    with pytest.raises(ConfigError, match=r"agent\.eqx cannot be written"):
        save_eqx(tmp_path / "agent.eqx", {"weight": 1.0})
    assert [each.name for each in tmp_path.iterdir()] == ["agent.eqx"]


@pytest.mark.parametrize("write", [lambda path: save_eqx(path, {"weight": 1.0}), MetricsLogger])
def test_a_folder_that_cannot_be_made_is_a_sentence_too(tmp_path, write):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/of_a_run cannot be written"):
        write(tmp_path / "file" / "of_a_run")


@pytest.mark.parametrize(
    ("first", "names"), [("", ["a.txt", "a_2.txt", "a_3.txt"]), ("_1", ["a_1.txt", "a_2.txt"])]
)
def test_the_first_free_of_the_numbered_names_is_taken(tmp_path, first, names):
    for name in names:
        path = first_free(tmp_path, numbered_names("a", ".txt", first=first))
        assert path == tmp_path / name
        path.touch()
