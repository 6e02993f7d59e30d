"""Rounds: what they count, and that an interruption anywhere leaves no trace."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from planners.stability.candidates.lineage import Kind, LineageError
from planners.stability.crystals import Crystal, formula_of
from planners.stability.flywheel.files import RoundError
from planners.stability.flywheel.folder import Folder, start
from planners.stability.flywheel.parts import Evidence, Proposal, Trained
from planners.stability.flywheel.rounds import Flywheel, run_round
from planners.stability.flywheel.selection import Screen
from planners.stability.oracles.oracle import Oracle, Verified
from planners.stability.references import snapshot_files
from planners.stability.references.entries import Entry
from planners.stability.references.stability import assess
from planners.stability.whole_files import FolderBusyError, locked
from tests.unit.planners.stability.flywheel.conftest import LinearRetrainer, content_of, l12

Begin = Callable[[Path], Path]


class Interrupted(Exception):  # noqa: N818
    """What a cut of power is to a program."""


@dataclass
class Weary:
    """The same oracle, that falls over after some crystals."""

    oracle: Oracle
    answers: int
    asked: list[Crystal] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.oracle.name

    @property
    def digest(self) -> str:
        return self.oracle.digest

    def relax(self, crystals: Sequence[Crystal]) -> list[Verified]:
        if len(self.asked) == self.answers:
            raise Interrupted
        self.asked += crystals
        return self.oracle.relax(crystals)


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A place for the folder that is never interrupted."""
    return [tmp_path_factory.mktemp("flywheel") / "whole"]


@pytest.fixture
def whole(two_rounds: list[Path], parts: Flywheel, begin: Begin) -> Path:
    """Two rounds without an interruption."""
    if not two_rounds[0].exists():
        begin(two_rounds[0])
        for _ in range(2):
            run_round(two_rounds[0], parts)
    return two_rounds[0]


@pytest.fixture
def second(whole: Path, tmp_path: Path) -> Path:
    """The same folder as it was before its second round."""
    folder = tmp_path / "second"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "round-0002")
    _forget_version(folder / "reference", 3)
    return folder


def _forget_version(reference: Path, version: int) -> None:
    manifest = json.loads((reference / "manifest.json").read_text(encoding="utf-8"))
    manifest["versions"] = manifest["versions"][: version - 1]
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (reference / "manifest.json").write_text(text, encoding="utf-8")
    (reference / f"entries-{version:04}.jsonl.xz").unlink()


def test_counts_agree_with_what_is_in_the_files(whole: Path) -> None:
    home = Folder(whole)
    for number in (1, 2):
        manifest = home.manifest(number)
        counts, before = manifest.counts, home.snapshot(number)
        answers = home.verified(number).values()
        assert 0 < counts.selected == len(answers) <= 4
        assert counts.generated >= counts.new >= counts.sure >= counts.compositions
        formulas = [formula_of(a.asked.elements) for a in answers]
        assert len(set(formulas)) == len(formulas)
        assert not set(formulas) & set(before.by_formula)
        energies = [a.formation_energy_ev_per_atom for a in answers]
        signed = assess(before, formulas, energies).decomposition_energies_ev_per_atom  # type: ignore[arg-type]
        assert counts.hits == (signed <= 0).sum()
        assert counts.within_50_mev == (signed <= 0.05).sum()
        assert counts.stable_together <= counts.hits
        assert manifest.hit_rate == counts.hits / counts.selected


def test_something_stable_is_found(whole: Path) -> None:
    assert Folder(whole).manifest(1).counts.hits > 0


def test_rounds_only_add(whole: Path) -> None:
    home = Folder(whole)
    start_, first, second = (snapshot_files.read(home.reference, v) for v in (1, 2, 3))
    assert first.entries[: len(start_.entries)] == start_.entries
    assert second.entries[: len(first.entries)] == first.entries
    assert {e.source for e in second.entries} == {"EMT", "EMT, round 1", "EMT, round 2"}
    assert home.manifest(2).inputs.reference_digest == first.digest


def test_every_discovery_traces_back_to_a_reference(whole: Path) -> None:
    home = Folder(whole)
    descents = home.lineage(2)
    starts = {e.entry_id for e in snapshot_files.read(home.reference, 1).entries}
    for key in [*home.verified(1), *home.verified(2)]:
        assert descents.trace(key)[-1].child in starts


def test_a_later_round_learns_from_the_earlier(whole: Path) -> None:
    home = Folder(whole)
    first, second = home.evidence(1), home.evidence(2)
    assert second[: len(first)] == first
    assert len(second) == len(first) + len(home.verified(1))
    assert all(e.asked is None for e in first)
    assert all(e.asked is not None for e in second[len(first) :])
    assert home.manifest(1).model_digest != home.manifest(2).model_digest


def test_the_same_seed_gives_the_same_bytes(
    whole: Path, parts: Flywheel, begin: Begin, tmp_path: Path
) -> None:
    again = begin(tmp_path / "again")
    run_round(again, parts)
    expected = content_of(whole / "round-0001")
    assert content_of(again / "round-0001") == expected
    other = begin(tmp_path / "other")
    run_round(other, replace(parts, seed=4))
    assert (
        content_of(other / "round-0001")["candidates.jsonl.xz"]
        != expected["candidates.jsonl.xz"]
    )


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_verification_goes_on_at_the_next_crystal(
    whole: Path, second: Path, parts: Flywheel, answers: int
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, answers)))
    rest = Weary(parts.oracle, 100)
    run_round(second, replace(parts, oracle=rest))
    assert len(rest.asked) == Folder(whole).manifest(2).counts.selected - answers
    assert content_of(second) == content_of(whole)


def test_a_line_cut_in_the_middle_is_verified_again(
    whole: Path, second: Path, parts: Flywheel
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 2)))
    verified = second / "round-0002" / "verified.jsonl"
    verified.write_bytes(verified.read_bytes()[:-30])
    run_round(second, parts)
    assert content_of(second) == content_of(whole)


@pytest.mark.parametrize(
    "lost",
    [
        ["manifest.json"],
        ["manifest.json", "lineage.jsonl"],
        ["manifest.json", "lineage.jsonl", "verified.jsonl", "selected.json"],
        ["manifest.json", "verified.jsonl", "selected.json", "candidates.jsonl.xz"],
    ],
)
def test_a_stage_that_was_not_written_is_done_again(
    whole: Path, second: Path, parts: Flywheel, lost: list[str]
) -> None:
    shutil.rmtree(second)
    shutil.copytree(whole, second)
    for name in lost:
        (second / "round-0002" / name).unlink()
    run_round(second, parts)
    assert content_of(second) == content_of(whole)


def test_a_selection_is_not_trained_for_twice(
    whole: Path, second: Path, parts: Flywheel
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 1)))
    idle = LinearRetrainer()
    run_round(second, replace(parts, retrainer=idle))
    assert idle.trained == 0
    assert content_of(second) == content_of(whole)


def test_a_part_of_the_reference_left_half_written_is_written_again(
    whole: Path, second: Path, parts: Flywheel
) -> None:
    (second / "reference" / "entries-0003.jsonl.xz").write_bytes(b"\xfd7zXZ\x00half")
    run_round(second, parts)
    assert content_of(second) == content_of(whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 9}, "seed 3"),
        ({"screen": Screen(verify_most=9)}, "screen"),
        ({"retrainer": LinearRetrainer(name="another")}, "retrainer 'regular solution"),
    ],
)
def test_a_round_is_not_resumed_with_other_inputs(
    second: Path, parts: Flywheel, change: dict[str, object], named: str
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 1)))
    with pytest.raises(RoundError, match=f"round 2 began with {named}.*to begin it anew"):
        run_round(second, replace(parts, **change))


def test_another_oracle_does_not_finish_a_round(second: Path, parts: Flywheel) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 1)))
    other = replace(parts.oracle, weights_digest="other")  # type: ignore[type-var]
    with pytest.raises(RoundError, match="oracle_digest"):
        run_round(second, replace(parts, oracle=other))


def test_candidates_changed_under_a_selection_are_noticed(
    whole: Path, second: Path, parts: Flywheel
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 1)))
    first = whole / "round-0001" / "candidates.jsonl.xz"
    shutil.copy(first, second / "round-0002" / "candidates.jsonl.xz")
    with pytest.raises(RoundError, match="changed after candidates were selected"):
        run_round(second, parts)


def test_answers_of_another_selection_are_noticed(
    whole: Path, second: Path, parts: Flywheel
) -> None:
    with pytest.raises(Interrupted):
        run_round(second, replace(parts, oracle=Weary(parts.oracle, 1)))
    shutil.copy(whole / "round-0001" / "verified.jsonl", second / "round-0002")
    with pytest.raises(RoundError, match="does not hold what was selected"):
        run_round(second, parts)


def test_a_finished_round_that_was_changed_stops_the_next(
    second: Path, parts: Flywheel
) -> None:
    with (second / "round-0001" / "verified.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(RoundError, match=r"verified\.jsonl has SHA-256 .* changed after"):
        run_round(second, parts)


def test_entries_added_by_somebody_else_are_noticed(
    second: Path, parts: Flywheel, known: tuple[Entry, ...]
) -> None:
    snapshot_files.append(second / "reference", [replace(known[0], entry_id="foreign")])
    with pytest.raises(RoundError, match="entries that round 2 did not find"):
        run_round(second, parts)


def test_two_processes_do_not_turn_one_flywheel(second: Path, parts: Flywheel) -> None:
    with locked(second), pytest.raises(FolderBusyError, match="another process"):
        run_round(second, parts)


def test_a_flywheel_is_started_once(whole: Path, known: tuple[Entry, ...]) -> None:
    with pytest.raises(RoundError, match="holds a flywheel already"):
        start(whole, known, name="again")


def test_entries_need_names(tmp_path: Path, known: tuple[Entry, ...]) -> None:
    with pytest.raises(RoundError, match="1 entries without a name"):
        start(tmp_path / "new", [replace(known[0], entry_id=None)], name="new")


@dataclass(frozen=True)
class Fixed:
    """Proposes what it was given."""

    proposals: tuple[Proposal, ...]
    name: str = "fixed"

    def propose(self, reference: object, round_number: int, seed: int) -> Sequence[Proposal]:
        del reference, round_number, seed
        return self.proposals


def proposal(key: str, corner: str, face: str, parent: str = "AuCu3") -> Proposal:
    return Proposal(key=key, crystal=l12(corner, face), kind=Kind.SUBSTITUTION, parent=parent)


def test_a_key_is_proposed_once(begin: Begin, parts: Flywheel, tmp_path: Path) -> None:
    twice = Fixed((proposal("a", "Ni", "Al"), proposal("a", "Ni", "Pt")))
    with pytest.raises(RoundError, match="proposed a twice"):
        run_round(begin(tmp_path / "new"), replace(parts, generator=twice))


def test_a_parent_that_nobody_knows_is_found_before_the_oracle_is_asked(
    begin: Begin, parts: Flywheel, tmp_path: Path
) -> None:
    orphan = Fixed((proposal("a", "Ni", "Al", parent="nobody"),))
    weary = Weary(parts.oracle, 100)
    with pytest.raises(LineageError, match="nobody"):
        run_round(begin(tmp_path / "new"), replace(parts, generator=orphan, oracle=weary))
    assert not weary.asked


def test_a_round_without_anything_new_ends_with_nothing(
    begin: Begin, parts: Flywheel, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "new")
    old = Fixed((proposal("a", "Au", "Cu"),))
    manifest = run_round(folder, replace(parts, generator=old))
    assert (manifest.counts.generated, manifest.counts.new, manifest.hit_rate) == (1, 0, 0.0)
    assert manifest.reference_version == 1
    assert manifest.prediction_mae_ev_per_atom is None
    assert run_round(folder, replace(parts, generator=old)).inputs.round == 2


def test_a_composition_that_was_refused_is_not_tried_again(
    begin: Begin, parts: Flywheel, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "new")
    hopeless = replace(parts.oracle, known=frozenset())  # type: ignore[type-var]
    again = Fixed((proposal("a", "Ni", "Al"),))
    first = run_round(folder, replace(parts, generator=again, oracle=hopeless))
    assert (first.counts.selected, first.counts.refused, first.counts.hits) == (1, 1, 0)
    assert run_round(folder, replace(parts, generator=again)).counts.new == 0


def test_progress_is_told(begin: Begin, parts: Flywheel, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run_round(begin(tmp_path / "new"), parts, progress=lambda *row: told.append(row))
    stages = [stage for stage, _, _ in told]
    assert list(dict.fromkeys(stages)) == ["generate", "train", "filter", "verify"]
    assert told[-1] == ("verify", 4, 4)


def test_training_sees_all_energies(begin: Begin, parts: Flywheel, tmp_path: Path) -> None:
    seen: list[int] = []

    class Counting(LinearRetrainer):
        def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
            seen.append(len(evidence))
            return super().train(evidence, seed)

    folder = begin(tmp_path / "new")
    for _ in range(2):
        run_round(folder, replace(parts, retrainer=Counting()))
    assert seen == [6, 10]
