"""The run folder: written whole or not at all, under a name that cannot go astray, over nobody else's files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_study_example import example
from test_study_rows import HOSTILE

from simroom.study.conclusion import conclude
from simroom.study.folder import FolderError, check_writable, folder_name, run_folder
from simroom.study.record import Record, file_names, write_record
from simroom.study.summary import Source, Timing
from simroom.study.table import Table


def record(**changes: object) -> Record:
    table = Table(example(**changes))
    source = Source(name="Stand-up", file="standup.yaml", hash="0f" * 32)
    spent = Timing(wall_seconds=0.5, cpu_seconds=0.4, simulated_time=62_000_000, events=10)
    return Record(table, conclude(table, ()), source, spent)


def write(parent: Path, name: str = "standup-7", **changes: object) -> None:
    write_record(record(**changes), parent, name, rows="csv", log=lambda: "what was said\n")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("standup", "standup-7"), ("Stand-Up 2", "stand-up-2-7"), ("a_b.c", "a_b-c-7"), ("-x-", "x-7")],
)
def test_a_folder_is_named_after_its_scenario_and_seed(stem: str, name: str) -> None:
    assert folder_name(stem, 7) == name


@given(st.text(max_size=200), st.integers(0, 2**63 - 1))
def test_no_stem_leads_out_of_the_folder_or_beyond_sixty_characters(stem: str, seed: int) -> None:
    name = folder_name(stem, seed)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
    assert name.endswith(f"-{seed}")
    assert len(name) <= 60


def test_stems_that_look_alike_in_ascii_keep_apart() -> None:
    names = {folder_name(stem, 7) for stem in ("会議", "朝会", "../..", "..", "", HOSTILE, "x" * 80, "x" * 81)}
    assert len(names) == 8


def test_a_run_leaves_its_files_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "reports")
    assert os.listdir(tmp_path / "reports") == ["standup-7"]
    folder = tmp_path / "reports" / "standup-7"
    assert sorted(os.listdir(folder)) == sorted(file_names("csv"))
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["seed"] == 7
    assert (folder / "log.txt").read_text() == "what was said\n"
    assert "name: Stand-up" in (folder / "scenario.yaml").read_text()
    assert folder.stat().st_mode & 0o777 == 0o777 & ~_mask()


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_summary_and_the_rows_of_one_run_are_the_same_bytes_in_two_folders(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two" / "deeper")
    for name in ("summary.json", "deliveries.csv", "scenario.yaml"):
        first, second = tmp_path / "one" / "standup-7" / name, tmp_path / "two" / "deeper" / "standup-7" / name
        assert first.read_bytes() == second.read_bytes()


def test_a_folder_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "standup-7" / "stale.html").write_text("of the run before")
    write(tmp_path, trace_hash="cd" * 16)
    folder = tmp_path / "standup-7"
    assert json.loads((folder / "summary.json").read_text())["trace_hash"] == "cd" * 16
    assert not (folder / "stale.html").exists()
    assert os.listdir(tmp_path) == ["standup-7"]


@pytest.mark.parametrize("content", [None, "{}", '{"schema_version": 1, "other": "tool"}', "not json"])
def test_a_folder_that_simroom_did_not_make_is_left_alone(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "standup-7"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    if content is not None:
        (folder / "summary.json").write_text(content)
    for attempt in (lambda: check_writable(tmp_path, "standup-7"), lambda: write(tmp_path)):
        with pytest.raises(FolderError, match="simroom did not make it"):
            attempt()
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["standup-7"]


def test_a_link_or_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere")
    (tmp_path / "standup-7").symlink_to(tmp_path / "elsewhere" / "standup-7")
    with pytest.raises(FolderError, match="not a folder"):
        write(tmp_path)
    (tmp_path / "standup-8").write_text("a file")
    with pytest.raises(FolderError, match="not a folder"):
        check_writable(tmp_path, "standup-8")
    assert (tmp_path / "elsewhere" / "standup-7" / "summary.json").exists()


def test_a_writer_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / "standup-7" / "summary.json").read_bytes()

    def fails() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_record(record(trace_hash="cd" * 16), tmp_path, "standup-7", rows="none", log=fails)
    assert os.listdir(tmp_path) == ["standup-7"]
    assert (tmp_path / "standup-7" / "summary.json").read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_found_out_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where a folder is wanted")
    with pytest.raises(FolderError, match="cannot write to"):
        check_writable(tmp_path / "reports", "standup-7")
    with pytest.raises(FolderError, match="cannot write to"), run_folder(tmp_path / "reports", "standup-7"):
        pytest.fail("there is nowhere to write")
    check_writable(tmp_path / "new" / "deeper", "standup-7")
    assert os.listdir(tmp_path / "new" / "deeper") == []
