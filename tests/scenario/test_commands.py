"""The commands a newcomer types first, as processes of their own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from flows.server import free_port

ALAB = str(Path(sys.executable).with_name("alab"))
STOP_S, RUN_S = 30, 150


def test_demo_makes_its_targets_and_writes_a_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [ALAB, "demo", "--targets", "LiMn2O4,ZnFe2O4", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {t["formula"]: t["status"] for t in result["target_list"]} == {
        "LiMn2O4": "made",
        "ZnFe2O4": "made",
    }
    assert "decided: done" in done.stderr
    report = Path(result["report"]).read_text()
    assert "LiMn2O4" in report or "LiMn<sub>2</sub>O<sub>4</sub>" in report


def test_demo_leaves_other_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [ALAB, "demo", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_up_announces_itself_and_stops_cleanly(tmp_path: Path) -> None:
    port, prefect_port = free_port(), free_port()
    laboratory = subprocess.Popen(
        [
            ALAB,
            "up",
            "--simulate",
            f"--data-dir={tmp_path / 'lab'}",
            f"--port={port}",
            f"--prefect-port={prefect_port}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert laboratory.stdout is not None
    with laboratory.stdout as said:
        lines = []
        for line in said:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert f"http://127.0.0.1:{port}" in "".join(lines), lines
        assert httpx.get(f"http://127.0.0.1:{port}/").is_success
        assert httpx.get(f"http://127.0.0.1:{prefect_port}/api/health").json() is True
        service = json.loads((tmp_path / "lab" / "service.json").read_text())
        assert service["pid"] == laboratory.pid
        laboratory.send_signal(signal.SIGINT)
        rest = said.read()
    assert laboratory.wait(STOP_S) == 0
    assert "everything is kept" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "lab" / "service.json").exists()
