import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from analysis.diffraction.cache import load_arrays, store_arrays, user_folder
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import default_cifs
from analysis.diffraction.reflections import lines_of


def some(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"places": rng.normal(size=(5, 3)), "count": np.asarray(seed)}


def test_what_is_kept_comes_back_and_what_is_not_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down"
    store_arrays(folder, {str(n): some(n) for n in range(1200)})
    found = load_arrays(folder, [*map(str, range(1200)), "other"])
    assert len(found) == 1200
    assert np.array_equal(found["7"]["places"], some(7)["places"])
    assert int(found["7"]["count"]) == 7


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 300, None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    store_arrays(tmp_path, {str(n): some(n) for n in range(50)})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 3] if damage is None else damage)
    load_arrays(tmp_path, ["1"])  # finds nothing or a whole record, and raises nothing
    store_arrays(tmp_path, {"1": some(1)})
    assert np.array_equal(load_arrays(tmp_path, ["1"])["1"]["places"], some(1)["places"])


def test_a_damaged_record_counts_as_missing(tmp_path: Path) -> None:
    store_arrays(tmp_path, {"1": some(1), "2": some(2)})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    middle = whole.index(some(1)["places"].tobytes())
    file.write_bytes(whole[:middle] + bytes(120) + whole[middle + 120 :])
    assert set(load_arrays(tmp_path, ["1", "2"])) == {"2"}


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store_arrays(tmp_path / "file" / "cache", {"1": some(1)})
    assert load_arrays(tmp_path / "file" / "cache", ["1"]) == {}


def _write(folder: Path, first: int) -> None:
    for n in range(first, first + 20):
        store_arrays(folder, {str(n): some(n)})


def test_processes_write_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(tmp_path, n)) for n in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = load_arrays(tmp_path, map(str, range(200)))
    assert len(found) == 40
    assert np.array_equal(found["105"]["places"], some(105)["places"])


def test_lines_of_a_damaged_cache_are_computed_again(tmp_path: Path) -> None:
    crystal = read_crystal(default_cifs()["ZnO"])

    def lines():
        return lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=60, cache_dir=tmp_path)

    first = lines()
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"x" * 5000)
    again = lines()
    assert np.array_equal(first.intensity, again.intensity)


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAB_CACHE_DIR", "/somewhere")
    assert user_folder() == Path("/somewhere")
    monkeypatch.delenv("ALAB_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert user_folder() == Path("/xdg/alab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_folder() == Path.home() / ".cache" / "alab"
