"""What holds for every command: help, examples, JSON, exit codes, speed."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alab.cli.main import app
from alab.cli.reference import commands

EVERY = dict(commands())
WITHOUT_DATA_DIR = {
    "alab analyze",
    "alab calibrate",
    "alab discover",
    "alab recipes propose",
    "alab recipes check",
    "alab reactions predict",
    "alab data pull",
    "alab data import",
    "alab data show",
}
HEAVY = (
    "pymatgen",
    "jax",
    "prefect",
    "sqlalchemy",
    "numpy",
    "plotly",
    "fastapi",
    "pydantic",
    "httpx",
    "drivers",
    "flows",
)
READING = [
    ("targets", "list"),
    ("campaign", "list"),
    ("campaign", "show", "titanates"),
    ("queue", "list"),
    ("sample", "list"),
    ("sample", "list", "--campaign", "titanates", "--status", "queued"),
    ("sample", "show", "titanates-BaTiO3-1"),
    ("why", "titanates-CaTiO3-1"),
    ("device", "list"),
    ("device", "show", "furnace_a"),
    ("stock", "list"),
    ("questions", "list"),
    ("questions", "list", "--all"),
    ("alarms", "list"),
]
ACTING = [
    ("campaign", "start", "next", "--targets", "SrTiO3"),
    ("campaign", "stop", "titanates", "--yes"),
    ("queue", "hold", "titanates-MgTiO3-1"),
    ("queue", "release", "titanates-MgTiO3-1"),
    ("queue", "pause", "titanates-MgTiO3-1"),
    ("queue", "resume", "titanates-MgTiO3-1"),
    ("queue", "cancel", "titanates-MgTiO3-1", "--yes"),
    ("queue", "priority", "titanates-MgTiO3-1", "3"),
    ("device", "quarantine", "xrd"),
    ("device", "ready", "xrd"),
    ("device", "stop", "--yes"),
    ("device", "reset-stop"),
    ("questions", "answer", "1", "yes"),
    ("alarms", "acknowledge", "1"),
]


def test_the_tree_is_whole() -> None:
    assert {"alab demo", "alab up", "alab queue cancel", "alab why", "alab report"} <= set(
        EVERY
    )
    assert len(EVERY) >= 30


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_help_and_an_example(name: str) -> None:
    command = EVERY[name]
    assert command.help
    assert (command.epilog or "").startswith("Example: alab")
    assert all(getattr(option, "help", None) for option in command.params)


@pytest.mark.parametrize("name", [n for n in EVERY if n not in ("alab demo", "alab up")])
def test_every_command_takes_json_and_a_data_directory(name: str) -> None:
    options = {word for option in EVERY[name].params for word in option.opts}
    assert "--json" in options
    assert "--data-dir" in options or name in WITHOUT_DATA_DIR


def test_the_page_of_commands_is_up_to_date() -> None:
    from alab.cli.reference import page

    written = Path(__file__).parents[4] / "docs" / "cli.md"
    assert written.read_text(encoding="utf-8") == page(), (
        "docs/cli.md is older than the commands; write it anew with "
        "'python -m alab.cli.reference docs/cli.md'"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, alab.cli.main as m\n"
        "sys.argv = ['alab', '--help']\n"
        "try:\n    m.run()\nexcept SystemExit:\n    pass\n"
        f"print([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stderr.strip().splitlines()[-1] == "[]"
    assert "Exit codes: 0 done" in ended.stdout


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_writes_json_and_nothing_else(shell: Any, data_dir: Path, words: Any) -> None:
    ended = shell(*words, "--json", "--data-dir", data_dir)
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) or words == ("targets", "list")


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_for_people_is_no_json(shell: Any, data_dir: Path, words: Any) -> None:
    ended = shell(*words, "--data-dir", data_dir)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip()
    assert ended.out.strip()[0] not in "{["


@pytest.mark.parametrize("words", READING[:5], ids=" ".join)
def test_the_service_answers_as_the_store_does(shell: Any, served: Path, words: Any) -> None:
    answered = shell(*words, "--json", "--data-dir", served)
    (served / "service.json").unlink()
    stored = shell(*words, "--json", "--data-dir", served)
    assert answered.code == stored.code == 0
    assert answered.json == stored.json


def test_reading_leaves_the_database_as_it_is(shell: Any, data_dir: Path) -> None:
    database = data_dir / "lab.sqlite3"
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    for words in READING:
        shell(*words, "--data-dir", data_dir)
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("words", READING[:3], ids=" ".join)
def test_reading_makes_no_data_directory(shell: Any, tmp_path: Path, words: Any) -> None:
    ended = shell(*words, "--data-dir", tmp_path / "none")
    assert ended.code == 1
    assert "alab init --data-dir" in ended.err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("words", ACTING, ids=" ".join)
def test_acting_without_a_laboratory_ends_with_3(
    shell: Any, data_dir: Path, words: Any
) -> None:
    ended = shell(*words, "--data-dir", data_dir)
    assert (ended.code, ended.out) == (3, "")
    assert "start it with 'alab up --data-dir" in ended.err.replace("\n", " ")


@pytest.mark.parametrize("words", [("nonsense",), ("queue", "list", "--nonsense")])
def test_wrong_usage_ends_with_2(shell: Any, words: Any) -> None:
    ended = shell(*words)
    assert ended.code == 2
    assert "nonsense" in ended.err


def test_ctrl_c_ends_with_130_and_one_line(
    shell: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alab.views.queue", interrupted)
    ended = shell("queue", "list", "--data-dir", data_dir)
    assert ended.code == 130
    assert ended.err == "Interrupted.\n"


def test_the_data_directory_comes_from_the_environment(
    shell: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALAB_DATA_DIR", str(data_dir))
    assert len(shell("queue", "list", "--json").json) == 3


def test_the_version_is_told(shell: Any) -> None:
    assert shell("--version").out.startswith("alab 0.")


def test_names_complete_from_what_there_is(data_dir: Path) -> None:
    from typer.core import TyperGroup
    from typer.main import get_command

    from alab.cli.options import complete_samples

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    context = group.make_context("alab", ["queue", "list"], resilient_parsing=True)
    context.params["data_dir"] = data_dir
    assert complete_samples(context, "titanates-S") == ["titanates-SrTiO3-1"]
    context.params["data_dir"] = data_dir / "none"
    assert complete_samples(context, "") == []
