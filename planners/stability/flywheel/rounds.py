"""One round: generate, filter, verify, and hand the energies to the next.

A round that was interrupted is run again with the same call: finished stages are read back,
verification goes on after the last structure, and the files end up byte for byte as without
the interruption. Nothing random is decided by time or order.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from planners.stability.candidates.lineage import Descent
from planners.stability.crystals import formula_of
from planners.stability.flywheel.files import (
    RoundError,
    read_model,
    read_proposals,
    sha256_of,
    write_model,
    write_proposals,
)
from planners.stability.flywheel.folder import (
    LINEAGE,
    MANIFEST,
    VERIFIED,
    Folder,
    digest_of_evidence,
    write_lineage,
)
from planners.stability.flywheel.manifest import (
    ChosenRow,
    Counts,
    Inputs,
    RoundManifest,
    SelectionFile,
)
from planners.stability.flywheel.parts import Generator, Proposal, Retrainer
from planners.stability.flywheel.selection import Chosen, Screen, Selection, select
from planners.stability.flywheel.verdict import Verdict, judge
from planners.stability.models.augmentation import predict_over_volumes
from planners.stability.oracles.oracle import Oracle, Verified
from planners.stability.oracles.remembered import append_line, read_answers
from planners.stability.oracles.verified_lines import line_of
from planners.stability.references import snapshot_files
from planners.stability.references.entries import Entry, digest_of, lines_of
from planners.stability.references.snapshot import Snapshot
from planners.stability.whole_files import locked

INPUTS = "inputs.json"
CANDIDATES = "candidates.jsonl.xz"
SELECTED = "selected.json"

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flywheel:
    """What turns: the parts that stay the same from round to round.

    Attributes:
        generator: Proposes.
        retrainer: Trains the model that chooses.
        oracle: Verifies.
        screen: Limits of the selection.
        seed: Of generator and training.
    """

    generator: Generator
    retrainer: Retrainer
    oracle: Oracle
    screen: Screen
    seed: int = 0


def run_round(
    folder: Path, parts: Flywheel, *, progress: Progress | None = None
) -> RoundManifest:
    """Run the next round in a folder, or finish the one that was interrupted.

    Args:
        folder: Made by ``start``.
        parts: Generator, retrainer, oracle and limits.
        progress: Called as stages go on.

    Raises:
        RoundError: If inputs or files of the round changed since it began.
        FolderBusyError: If another process runs rounds there.
        MissingReferenceError: If a proposal holds an element the reference knows nothing of.
    """
    with locked(folder):
        home = Folder(folder)
        number = home.finished() + 1
        return _Round(home, number, parts, progress or _silent).run()


def _silent(stage: str, done: int, of: int) -> None:
    del stage, done, of


class _Round:
    def __init__(self, home: Folder, number: int, parts: Flywheel, progress: Progress) -> None:
        self.home, self.number, self.parts, self.progress = home, number, parts, progress
        self.folder = home.round(number)
        self.reference = home.snapshot(number)
        self.evidence = home.evidence(number)

    def run(self) -> RoundManifest:
        inputs = self._begin()
        proposals = self._generate()
        selected, chosen = self._filter(proposals)
        self._descend(chosen)
        answers = self._verify(chosen)
        verdict = judge(self.reference, chosen, answers, self._source())
        after = self._extend(verdict.entries)
        together = verdict.stable_together(after)
        return self._end(inputs, selected, verdict, after, together)

    def _begin(self) -> Inputs:
        """Inputs of the round, the same as when it began."""
        parts = self.parts
        inputs = Inputs(
            round=self.number,
            seed=parts.seed,
            reference_version=self.reference.version,
            reference_digest=self.reference.digest,
            evidence_sha256=digest_of_evidence(self.evidence),
            generator=parts.generator.name,
            retrainer=parts.retrainer.name,
            oracle=parts.oracle.name,
            oracle_digest=parts.oracle.digest,
            screen=asdict(parts.screen),
        )
        path = self.folder / INPUTS
        if path.exists():
            _check_same(path, read_model(path, Inputs), inputs)
        else:
            write_model(path, inputs)
        return inputs

    def _generate(self) -> list[Proposal]:
        path = self.folder / CANDIDATES
        if not path.exists():
            parts = self.parts
            found = parts.generator.propose(self.reference, self.number, parts.seed)
            _check_keys(found)
            write_proposals(path, found)
        proposals = read_proposals(path)
        self.progress("generate", len(proposals), len(proposals))
        return proposals

    def _filter(self, proposals: Sequence[Proposal]) -> tuple[SelectionFile, list[Chosen]]:
        path = self.folder / SELECTED
        digest = sha256_of(self.folder / CANDIDATES)
        if not path.exists():
            write_model(path, self._select(proposals, digest))
        selected = read_model(path, SelectionFile)
        if selected.candidates_sha256 != digest:
            raise RoundError(
                f"{self.folder / CANDIDATES} changed after candidates were selected from it; "
                f"restore it, or remove {self.folder} and run the round again"
            )
        by_key = {proposal.key: proposal for proposal in proposals}
        return selected, [
            Chosen(proposal=by_key[row.key], **row.model_dump(exclude={"key"}))
            for row in selected.chosen
        ]

    def _select(self, proposals: Sequence[Proposal], digest: str) -> SelectionFile:
        self.progress("train", 0, len(self.evidence))
        trained = self.parts.retrainer.train(self.evidence, self.parts.seed)
        self.progress("train", len(self.evidence), len(self.evidence))
        new = self._new(proposals)
        selection = Selection(chosen=(), sure=0, passed=0, compositions=0)
        if new:
            crystals, screen = [p.crystal for p in new], self.parts.screen
            best = predict_over_volumes(trained.predictor, crystals, screen.volumes)
            selection = select(new, best.prediction, self.reference, screen)
        self.progress("filter", len(selection.chosen), len(new))
        return SelectionFile(
            model_digest=trained.digest,
            candidates_sha256=digest,
            generated=len(proposals),
            new=len(new),
            sure=selection.sure,
            passed=selection.passed,
            compositions=selection.compositions,
            chosen=tuple(_row(c) for c in selection.chosen),
        )

    def _new(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those whose composition nobody knows and no round before has tried."""
        tried = self.home.tried(self.number)
        known = set(self.reference.by_formula)
        known |= {formula_of(answer.asked.elements) for answer in tried.values()}
        return [p for p in proposals if formula_of(p.crystal.elements) not in known]

    def _verify(self, chosen: Sequence[Chosen]) -> list[Verified]:
        """Ask the oracle one by one; what is in the file already is not asked again."""
        path = self.folder / VERIFIED
        path.touch()
        answers = read_answers(path)
        expected = [c.proposal.key for c in chosen]
        if list(answers) != expected[: len(answers)]:
            raise RoundError(
                f"{path} does not hold what was selected, in that order; restore it, or "
                "remove it to verify again"
            )
        for candidate in chosen[len(answers) :]:
            key, crystal = candidate.proposal.key, candidate.proposal.crystal
            (answers[key],) = self.parts.oracle.relax([crystal])
            append_line(path, line_of(key, answers[key]))
            self.progress("verify", len(answers), len(chosen))
        # read back, so that a resumed round goes on from the same digits
        return list(read_answers(path).values())

    def _source(self) -> str:
        return f"{self.parts.oracle.name}, round {self.number}"

    def _extend(self, entries: Sequence[Entry]) -> Snapshot:
        """The reference with the round's entries; added once, however often it is asked."""
        if not entries:
            return self.reference
        version = self.reference.version + 1
        expected = digest_of(self.reference.digest, lines_of(entries))
        newest = snapshot_files.read(self.home.reference)
        if newest.version == self.reference.version:
            newest = snapshot_files.append(self.home.reference, entries)
        if newest.version != version or newest.digest != expected:
            raise RoundError(
                f"{self.home.reference} has version {newest.version} with entries that round "
                f"{self.number} did not find; restore it from a copy"
            )
        return newest

    def _descend(self, chosen: Sequence[Chosen]) -> None:
        """Record where each comes from, and see that it traces back to a reference."""
        write_lineage(self.folder / LINEAGE, [_descent(c, self.number) for c in chosen])
        self.home.lineage(self.number).order()

    def _end(
        self,
        inputs: Inputs,
        selected: SelectionFile,
        verdict: Verdict,
        after: Snapshot,
        together: int,
    ) -> RoundManifest:
        names = (INPUTS, CANDIDATES, SELECTED, VERIFIED, LINEAGE)
        verified = len(selected.chosen)
        manifest = RoundManifest(
            inputs=inputs,
            model_digest=selected.model_digest,
            counts=Counts(
                generated=selected.generated,
                new=selected.new,
                sure=selected.sure,
                passed=selected.passed,
                compositions=selected.compositions,
                selected=verified,
                refused=verdict.refused,
                unconverged=verdict.unconverged,
                hits=len(verdict.hits),
                within_50_mev=verdict.within_50_mev,
                stable_together=together,
            ),
            hit_rate=len(verdict.hits) / verified if verified else 0.0,
            prediction_mae_ev_per_atom=verdict.prediction_mae_ev_per_atom,
            reference_version=after.version,
            reference_digest=after.digest,
            files={name: sha256_of(self.folder / name) for name in names},
        )
        write_model(self.folder / MANIFEST, manifest)
        return manifest


def _check_same(path: Path, began: Inputs, now: Inputs) -> None:
    before, after = began.model_dump(), now.model_dump()
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        name = changed[0]
        raise RoundError(
            f"round {began.round} began with {name} {before[name]!r}, and now it is "
            f"{after[name]!r}; give the same, or remove {path.parent} to begin it anew"
        )


def _check_keys(proposals: Sequence[Proposal]) -> None:
    keys = [proposal.key for proposal in proposals]
    if len(set(keys)) < len(keys):
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise RoundError(f"the generator proposed {repeated} twice; give each crystal one key")


def _row(chosen: Chosen) -> ChosenRow:
    return ChosenRow(
        key=chosen.proposal.key,
        formula=chosen.formula,
        predicted_ev_per_atom=chosen.predicted_ev_per_atom,
        interquartile_ev_per_atom=chosen.interquartile_ev_per_atom,
        predicted_decomposition_ev_per_atom=chosen.predicted_decomposition_ev_per_atom,
    )


def _descent(chosen: Chosen, number: int) -> Descent:
    proposal = chosen.proposal
    return Descent(
        child=proposal.key,
        parent=proposal.parent,
        round=number,
        kind=proposal.kind,
        formula=chosen.formula,
    )
