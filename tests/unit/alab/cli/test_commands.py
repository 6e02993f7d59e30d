"""What single commands do, and what they say to bad input."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alab.store.store import Store
from alab.store.tables import SampleRow

DATA = os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data")
"""Measured patterns, outside of the repository; read before the shell fixture clears it."""

SR, CA, MG = "titanates-SrTiO3-1", "titanates-CaTiO3-1", "titanates-MgTiO3-1"


def control(data_dir: Path, sample: str) -> str:
    store = Store.in_directory(data_dir)
    with store.begin() as session:
        found = session.get_one(SampleRow, sample).control
    store.close()
    return found


# ---- the data directory ------------------------------------------------------------


def test_init_makes_a_directory_whose_lab_file_is_in_order(shell: Any, tmp_path: Path) -> None:
    made = shell("init", "--data-dir", tmp_path / "new", "--json")
    assert made.code == 0
    assert made.json["lab_file_kept"] is False
    checked = shell("lab", "check", "--data-dir", tmp_path / "new", "--json")
    assert checked.json["ok"] is True
    assert checked.json["devices"] == 13


def test_what_init_advises_can_be_typed(shell: Any, tmp_path: Path) -> None:
    told = shell("init", "--data-dir", tmp_path / "new").out.replace("\n  ", "\n")
    advised = next(line for line in told.splitlines() if line.startswith("alab lab check"))
    assert shell(*advised.split()[1:]).code == 0
    assert f"alab up --data-dir {tmp_path / 'new'}" in told


def test_init_keeps_a_lab_file_that_is_there(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("# mine\n")
    assert shell("init", "--data-dir", tmp_path, "--json").json["lab_file_kept"] is True
    assert (tmp_path / "lab.toml").read_text() == "# mine\n"


def test_lab_check_names_line_and_key(shell: Any, data_dir: Path) -> None:
    path = data_dir / "lab.toml"
    path.write_text(path.read_text().replace("scan_program", "scan_programme", 1))
    line = (
        path.read_text()
        .splitlines()
        .index(next(text for text in path.read_text().splitlines() if "scan_programme" in text))
    )
    ended = shell("lab", "check", path)
    assert ended.code == 2
    assert f"lab.toml:{line + 1}: scan_programme: unknown key" in ended.err
    as_json = shell("lab", "check", path, "--json")
    assert (as_json.code, as_json.json["ok"]) == (2, False)
    assert len(as_json.json["mistakes"]) == 1


def test_a_data_directory_of_a_newer_version_is_refused(shell: Any, data_dir: Path) -> None:
    import sqlite3

    with sqlite3.connect(data_dir / "lab.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ended = shell("queue", "list", "--data-dir", data_dir)
    assert ended.code == 1
    assert "newer alab (schema 9999" in ended.err


def test_a_file_that_is_no_database_is_refused(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "lab.sqlite3").write_text("no database at all, " * 100)
    ended = shell("queue", "list", "--data-dir", tmp_path)
    assert ended.code == 1
    assert "cannot open the lab database" in ended.err


def test_a_wrong_setting_names_its_variable(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALAB_PORT", "eighty")
    ended = shell("queue", "list")
    assert ended.code == 2
    assert "ALAB_PORT='eighty'" in ended.err


# ---- targets -----------------------------------------------------------------------


def test_targets_are_listed_and_taken_off_without_a_laboratory(
    shell: Any, data_dir: Path
) -> None:
    added = shell("targets", "add", "TiBaO3", "LiCoO2", "--priority", 4, "--data-dir", data_dir)
    assert added.code == 0, added.err
    assert "BaTiO3, LiCoO2" in added.out
    shell("targets", "add", "BaTiO3", "--priority", 9, "--data-dir", data_dir)
    rows = shell("targets", "list", "--json", "--data-dir", data_dir).json
    assert [(row["formula"], row["priority"]) for row in rows] == [("BaTiO3", 9), ("LiCoO2", 4)]
    assert shell("targets", "remove", "BaTiO3", "--data-dir", data_dir).code == 0
    again = shell("targets", "remove", "BaTiO3", "--data-dir", data_dir)
    assert again.code == 2
    assert "not on the list: BaTiO3" in again.err


def test_a_csv_of_targets_is_read(shell: Any, data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text('formula,priority,note\nBaTiO3,2,"first, please"\n\nLiCoO2,,\n')
    shell("targets", "add", path, "--data-dir", data_dir)
    rows = shell("targets", "list", "--json", "--data-dir", data_dir).json
    assert [(row["formula"], row["priority"], row["note"]) for row in rows] == [
        ("BaTiO3", 2, "first, please"),
        ("LiCoO2", 0, ""),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("BaTiO3\n", "wanted.csv:1: no column 'formula'"),
        ("formula,colour\nBaTiO3,red\n", "wanted.csv:1: unknown column 'colour'"),
        ("formula,priority\nBaTiO3,1\nCaTiO3,high\n", "wanted.csv:3: priority 'high'"),
        ("formula,priority\n,1\n", "wanted.csv:2: the formula is missing"),
        ("formula\nBaTiO3,1\n", "wanted.csv:2: 2 cells under 1 columns"),
        ("formula\nBaTiO3\nKrO2\n", "wanted.csv:3: KrO2"),
        ("formula\nBaTiO3\nTiBaO3\n", "wanted.csv:3: TiBaO3 is BaTiO3, listed wanted.csv:2"),
        ("formula\n", "holds no target"),
        ('formula\n"BaTiO3\n', "no CSV"),
    ],
)
def test_a_broken_csv_names_its_line_and_lists_nothing(
    shell: Any, data_dir: Path, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text(text)
    ended = shell("targets", "add", path, "--data-dir", data_dir)
    assert ended.code == 2
    assert says in ended.err
    assert shell("targets", "list", "--json", "--data-dir", data_dir).json == []


def test_a_csv_that_is_missing_is_told(shell: Any, data_dir: Path) -> None:
    ended = shell("targets", "add", "none.csv", "--data-dir", data_dir)
    assert (ended.code, ended.err) == (
        2,
        "error: cannot read none.csv: No such file or directory\n",
    )


# ---- with a running laboratory -----------------------------------------------------


def test_a_campaign_takes_the_list_and_is_watched_to_its_end(shell: Any, served: Path) -> None:
    assert shell("targets", "add", "SrTiO3", "--data-dir", served).code == 0
    ended = shell("campaign", "start", "next", "--watch", "--json", "--data-dir", served)
    assert ended.code == 0, ended.err
    assert ended.json["status"] == "finished"
    assert ended.json["targets"] == {"made": 1}
    assert shell("targets", "list", "--json", "--data-dir", served).json == []
    shown = shell("campaign", "show", "next", "--data-dir", served)
    assert "1 of 1" in shown.out


def test_a_campaign_of_a_name_that_exists_is_refused(shell: Any, served: Path) -> None:
    words = ("campaign", "start", "titanates", "--targets", "SrTiO3", "--data-dir", served)
    ended = shell(*words)
    assert ended.code == 2
    assert "there is a campaign 'titanates' already" in ended.err


def test_wishes_go_through_and_wrong_ones_say_what_is_possible(
    shell: Any, served: Path
) -> None:
    assert shell("queue", "hold", MG, "--data-dir", served).out == f"{MG}: held\n"
    again = shell("queue", "hold", MG, "--data-dir", served)
    assert again.code == 1
    assert "possible: release, cancel" in again.err
    unknown = shell("queue", "pause", "nothing", "--data-dir", served)
    assert unknown.code == 2
    assert "no sample 'nothing'; see 'alab sample list'" in unknown.err
    assert control(served, MG) == "held"


def test_cancel_shows_what_it_means_and_asks(
    shell: Any, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    declined = shell("queue", "cancel", SR, "--data-dir", served)
    assert declined.code == 1
    assert "furnace_a keeps heating" in declined.out
    assert control(served, SR) == "run"
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert shell("queue", "cancel", SR, "--data-dir", served).code == 0
    assert control(served, SR) == "cancelling"


def test_cancel_as_json_wants_a_yes(shell: Any, served: Path) -> None:
    ended = shell("queue", "cancel", MG, "--json", "--data-dir", served)
    assert (ended.code, ended.out) == (2, "")
    assert control(served, MG) == "run"
    done = shell("queue", "cancel", MG, "--json", "--yes", "--data-dir", served)
    assert done.json == [{"sample": MG, "control": "cancelling"}]


def test_the_rest_of_what_acts(shell: Any, served: Path) -> None:
    for words in (
        ("queue", "priority", MG, "7"),
        ("device", "quarantine", "xrd", "--note", "leaks"),
        ("device", "ready", "xrd"),
        ("questions", "answer", "1", "yes"),
        ("alarms", "acknowledge", "1"),
        ("device", "stop", "--yes", "--reason", "smoke"),
        ("device", "reset-stop"),
        ("campaign", "stop", "titanates", "--yes"),
    ):
        ended = shell(*words, "--json", "--data-dir", served)
        assert ended.code == 0, ended.err
        assert ended.json
    log = shell("sample", "show", MG, "--json", "--data-dir", served).json["events"]
    assert ("mira", "priority 7") in [(event["actor"], event["text"]) for event in log]


def test_why_asks_the_running_laboratory(shell: Any, served: Path) -> None:
    said = shell("why", SR, "--data-dir", served).out
    assert "It is in furnace_a" in said
    assert "No laboratory runs" not in said


# ---- a laboratory that is gone -----------------------------------------------------


def test_what_a_killed_laboratory_left_behind_is_seen_through(
    shell: Any, data_dir: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    left = {"url": "http://127.0.0.1:9", "pid": gone.pid}
    (data_dir / "service.json").write_text(json.dumps(left))
    assert shell("queue", "list", "--data-dir", data_dir).code == 0
    ended = shell("queue", "hold", MG, "--data-dir", data_dir)
    assert ended.code == 3
    assert "no laboratory runs" in ended.err


def test_a_laboratory_that_does_not_answer_is_told(shell: Any, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]
    (data_dir / "service.json").write_text(
        json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()})
    )
    ended = shell("queue", "list", "--data-dir", data_dir)
    assert ended.code == 3
    assert "does not answer" in ended.err


@pytest.mark.parametrize("text", ["", "{}", '{"url": "x", "pid": "y"}', "[1]"])
def test_an_unreadable_address_is_told(shell: Any, data_dir: Path, text: str) -> None:
    (data_dir / "service.json").write_text(text)
    ended = shell("queue", "list", "--data-dir", data_dir)
    assert ended.code == 3
    assert "service.json is not readable" in ended.err.replace("\n", " ")


# ---- reports and patterns ----------------------------------------------------------


def test_a_report_is_one_file(shell: Any, data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    ended = shell("report", "titanates", "--output", path, "--json", "--data-dir", data_dir)
    assert ended.code == 0, ended.err
    assert ended.json["file"] == str(path)
    assert "BaTiO3" in path.read_text(encoding="utf-8")


def test_a_report_of_nothing_is_refused(shell: Any, data_dir: Path, tmp_path: Path) -> None:
    ended = shell("report", "none", "--data-dir", data_dir)
    assert ended.code == 2
    assert "no campaign 'none'" in ended.err
    assert not (tmp_path / "none.html").exists()
