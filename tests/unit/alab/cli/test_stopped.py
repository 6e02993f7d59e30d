"""What the command line says while the emergency stop is latched."""

from pathlib import Path
from typing import Any

import pytest

NOTICE = "Emergency stop: smoke, by mira; nothing starts before 'alab device reset-stop'."
LISTS = [("device", "list"), ("queue", "list")]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists_begin_with_the_stop_with_and_without_a_laboratory(
    shell: Any, served: Path, words: tuple[str, str]
) -> None:
    assert "Emergency stop" not in shell(*words, "--data-dir", served).out
    shell("device", "stop", "--yes", "--reason", "smoke", "--data-dir", served)
    assert shell(*words, "--data-dir", served).out.startswith(NOTICE)
    assert shell(*words, "--json", "--data-dir", served).json
    (served / "service.json").unlink()
    assert shell(*words, "--data-dir", served).out.startswith(NOTICE)


def test_why_begins_with_the_stop(shell: Any, served: Path) -> None:
    shell("device", "stop", "--yes", "--reason", "smoke", "--data-dir", served)
    said = shell("why", "titanates-SrTiO3-1", "--data-dir", served).out
    assert said.startswith(NOTICE)
    assert "It is in furnace_a" in said
