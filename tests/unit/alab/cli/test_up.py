"""What ``alab up`` refuses before it starts anything."""

from pathlib import Path
from typing import Any


def test_a_device_to_switch_off_must_be_there(shell: Any, data_dir: Path) -> None:
    words = ("up", "--simulate", "--off", "mixer, nosuch", "--data-dir", data_dir)
    ended = shell(*words)
    assert ended.code == 2
    assert "--off names nosuch, which the laboratory does not have; it has doser" in ended.err
    assert not (data_dir / "prefect").exists()
