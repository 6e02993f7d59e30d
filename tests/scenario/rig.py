"""A whole laboratory on a simulated floor, to be frozen, killed and started again."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from alab.clock import VirtualClock, on_clock
from alab.lab import LabDefinition
from alab.laboratory import Laboratory
from alab.models import (
    Atmosphere,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
)
from alab.operations import Operator
from alab.runtime import Runtime
from alab.store.codec import encode
from alab.store.store import FILENAME, Store
from alab.store.tables import (
    AlarmRow,
    AttemptRow,
    DeviceRow,
    DoseRow,
    EventRow,
    FiringRow,
    IntentRow,
    LeaseRow,
    QuestionRow,
    SampleRow,
    SlotRow,
    StockRow,
    TargetRow,
)
from analysis.diffraction.library import default_cifs
from drivers.catalog import KINDS, build
from simulators.floor import SimulatedFloor
from simulators.world.world import World

WATCH_PERIOD_S = 120.0
POLL_S = 0.02
STILL_POLLS = 10
"""Polls in a row without anybody running or due: nothing will happen any more."""

Condition = Callable[[], object]


class FreezableClock(VirtualClock):
    """A virtual clock that stops the laboratory at the instant a condition comes true.

    The condition is looked at wherever anybody begins to wait for time; whoever made it
    true is kept there, and laboratory time with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.condition: Condition | None = None
        self.reached = asyncio.Event()
        self._go_on = asyncio.Event()

    async def sleep(self, duration_s: float, *, background: bool = False) -> None:
        await self._check()
        await super().sleep(duration_s, background=background)
        await self._check()

    async def _check(self) -> None:
        if self.condition is not None and self.condition():
            self.condition = None
            self._go_on.clear()
            self.reached.set()
            await self._go_on.wait()

    def go(self) -> None:
        self.reached.clear()
        self._go_on.set()

    @property
    def stands_still(self) -> bool:
        return self._running == 0 and self._foreground_due == 0


class Rig:
    """Floor, store and laboratory; ``die`` and ``live`` replace all but the floor.

    Attributes:
        floor: The simulated instruments; they survive every death.
        clock: Laboratory time.
    """

    def __init__(self, lab: LabDefinition, folder: Path, *, seed: int) -> None:
        self.clock = FreezableClock()
        world = World(
            seed=seed, now_s=self.clock.monotonic_s, epoch=self.clock.now(), cifs=default_cifs()
        )
        self.floor = SimulatedFloor(lab, seed=seed, clock=self.clock, world=world)
        self.seed = seed
        self._lab = lab
        self._folder = folder
        self._lives = 0
        self.store = Store.in_directory(folder / "life-0")
        self.runtime: Runtime | None = None

    @property
    def world(self) -> World:
        return self.floor.world

    @property
    def laboratory(self) -> Laboratory:
        assert self.runtime is not None
        return self.runtime.laboratory

    @property
    def operator(self) -> Operator:
        return Operator(self.laboratory)

    # ---- life and death --------------------------------------------------------

    async def live(self) -> None:
        """Start a laboratory process on the floor."""
        laboratory = Laboratory(
            self.floor.lab,
            KINDS,
            build(self.floor.lab, self.clock),
            self.store,
            self.clock,
            watch_period_s=WATCH_PERIOD_S,
        )
        offline = await on_clock(self.clock, laboratory.gateway.connect())
        self.runtime = Runtime(laboratory, offline)
        self.runtime.begin()

    async def die(self) -> None:
        """The process is gone: what it had committed is all that is left of it.

        Whatever its tasks still write while they are taken down goes into a database
        that nobody opens again.
        """
        self._lives += 1
        after = self._folder / f"life-{self._lives}"
        after.mkdir()
        before = self._folder / f"life-{self._lives - 1}" / FILENAME
        with sqlite3.connect(before) as source, sqlite3.connect(after / FILENAME) as copy:
            source.backup(copy)
        source.close()
        copy.close()
        await self.stop()
        self.store = Store.in_directory(after)

    async def stop(self) -> None:
        self.clock.condition = None
        if self.runtime is not None:
            await self.runtime.end()
            await self.laboratory.gateway.close()
            self.runtime = None
        self.clock.go()
        self.store.close()

    async def reborn(self) -> None:
        await self.die()
        await self.live()

    # ---- going on until something --------------------------------------------

    async def until(self, condition: Condition, *, within_s: float = 60.0) -> None:
        """Let the laboratory work until ``condition`` holds, and freeze it there.

        Raises:
            AssertionError: If the laboratory stands still before, or for ``within_s``
                real seconds, with what everything waits for.
        """
        self.clock.condition = condition
        self.clock.go()
        still = 0
        async with asyncio.timeout(within_s):
            while not self.clock.reached.is_set():
                await _within(self.clock.reached.wait(), POLL_S)
                still = still + 1 if self.clock.stands_still else 0
                if still and condition():
                    self.clock.condition = None
                    return
                assert still < STILL_POLLS, f"it stands still:\n{self.account()}"

    async def finish(self, *campaigns: str, within_s: float = 60.0) -> None:
        """Let the laboratory work until campaigns have ended by themselves."""
        self.clock.go()
        still = 0
        assert self.runtime is not None
        ends = [asyncio.ensure_future(self.runtime.finished(name)) for name in campaigns]
        async with asyncio.timeout(within_s):
            while not all(end.done() for end in ends):
                await asyncio.wait(ends, timeout=POLL_S)
                still = still + 1 if self.clock.stands_still else 0
                assert still < STILL_POLLS, f"it stands still:\n{self.account()}"
        for end in ends:
            end.result()

    async def run(self, work: Any) -> Any:
        """Run work that waits for laboratory time, as the service does."""
        self.clock.go()
        return await on_clock(self.clock, work)

    # ---- asking for things ---------------------------------------------------

    async def campaign(
        self,
        name: str,
        recipes: Mapping[str, Recipe | None],
        *,
        max_attempts: int = 1,
        priority: int = 0,
    ) -> None:
        """Start a campaign; a recipe of one's own makes it the only ranked one."""
        assert self.runtime is not None
        laboratory = self.laboratory
        laboratory.start_campaign(
            name, dict.fromkeys(recipes, priority), max_attempts=max_attempts
        )
        with self.store.begin() as session:
            for row in session.scalars(select(TargetRow).where(TargetRow.campaign == name)):
                if (recipe := recipes[row.formula]) is not None:
                    row.recipes = {"ranked": [encode(recipe)]}
        self.runtime._run(name)

    def answer(self, words: str, *, about: str = "") -> int:
        """Answer the open question about a subject."""
        (question,) = self.questions(about)
        self.operator.answer(question.id, words, by="olga")
        return question.id

    def instrument(self, device: str) -> Any:
        return self.line(device).instrument

    def line(self, device: str) -> Any:
        return self.floor.lines[self._lab.addresses()[device].port]

    # ---- what is written ------------------------------------------------------

    def rows(self, table: Any, **equal: Any) -> list[Any]:
        with self.store.begin() as session:
            return list(session.scalars(select(table).filter_by(**equal)))

    def sample(self, name: str) -> SampleRow:
        return self.laboratory.sample(name)

    def status(self, name: str) -> str | None:
        found = self.rows(SampleRow, name=name)
        return found[0].status if found else None

    def target(self, formula: str, campaign: str = "c") -> TargetRow:
        (row,) = self.rows(TargetRow, campaign=campaign, formula=formula)
        return row

    def device(self, name: str) -> str:
        return self.rows(DeviceRow, name=name)[0].state

    def intents(self, **equal: Any) -> dict[str, IntentRow]:
        return {row.key: row for row in self.rows(IntentRow, **equal)}

    def intent(self, key: str) -> str | None:
        found = self.intents(key=key)
        return found[key].status if found else None

    def where(self, sample: str) -> list[str]:
        return [row.slot for row in self.rows(SlotRow, sample=sample)]

    def questions(self, about: str = "") -> list[QuestionRow]:
        return [
            q
            for q in self.rows(QuestionRow)
            if q.answer is None and q.subject.startswith(about)
        ]

    def alarms(self, device: str) -> list[str]:
        return [row.text for row in self.rows(AlarmRow, device=device)]

    def stock_mg(self, item: str) -> float:
        (row,) = self.rows(StockRow, item=item)
        return row.amount

    def firings(self) -> list[FiringRow]:
        return self.rows(FiringRow)

    def log(self) -> list[tuple[str, str, str]]:
        return [(str(row.at), row.subject, row.text) for row in self.rows(EventRow)]

    def log_at(self, text: str) -> datetime:
        """When the one event of this text was logged."""
        (row,) = self.rows(EventRow, text=text)
        return row.at

    def account(self) -> str:
        """What an engineer wants to see when a scenario went wrong."""
        lines = [" | ".join(entry) for entry in self.log()[-25:]]
        lines += [
            f"{row.name}: {row.status}/{row.control} at {self.where(row.name)}: "
            f"{self.operator.why(row.name)}"
            for row in self.rows(SampleRow)
        ]
        lines += [f"question {q.id} on {q.subject}: {q.text}" for q in self.questions()]
        lines += [
            f"{d.name}: {d.state} {d.note}" for d in self.rows(DeviceRow) if d.state != "ready"
        ]
        return "\n".join(lines)

    # ---- what must always hold at the end --------------------------------------

    def assert_nothing_leaks(self) -> None:
        """No lease, reservation or busy furnace is left when nothing is under way."""
        assert not [row for row in self.rows(LeaseRow) if row.released_at is None]
        assert not [row.slot for row in self.rows(SlotRow) if row.reserved_by]
        assert not self.laboratory.claims.waiting()
        active = [
            row for row in self.rows(FiringRow) if row.status not in ("finished", "failed")
        ]
        assert not active

    def assert_books_match_matter(self) -> None:
        """Every crucible is where the store says, and holds what was booked."""
        with self.world.lock:
            standing = {slot: c.name for slot, c in self.world.crucibles.items()}
            gripped = set(self.world.gripped)
        known = {row.slot for row in self.rows(SlotRow) if row.sample and not row.unknown}
        holders = set(self.world.holders)
        assert set(standing) | gripped | holders == known
        used = len(set(standing.values())) + len(gripped)
        assert self.stock_mg("crucibles") == self._lab.crucibles - used
        for formula, precursor in self._lab.precursors.items():
            full_mg = precursor.mass_g * 1000
            taken_mg = full_mg - self.world.heads[precursor.head].mass_mg
            booked_mg = full_mg - self.stock_mg(formula)
            assert abs(taken_mg - booked_mg) < 1.0 + 0.002 * taken_mg, formula

    def assert_each_act_once(self) -> None:
        """The instruments did what the intents say, neither less nor more."""
        done = Counter(
            row.device for row in self.rows(IntentRow, command="run_program", status="done")
        )
        for arm, count in done.items():
            assert self.instrument(arm)._plays == count, arm
        for row in self.rows(DoseRow):
            parts = [
                i.result["dosed_mg"]
                for key, i in self.intents(command="dose", status="done").items()
                if key.startswith(f"{row.sample}/prepare/dose {row.formula}/")
            ]
            assert abs(sum(parts) - row.dosed_mg) < 0.01
            tolerated_mg = max(0.01 * row.wanted_mg, 0.5)
            assert row.dosed_mg >= row.wanted_mg - tolerated_mg - 5.0
            assert row.dosed_mg < row.wanted_mg * 1.2 + 5.0, "dosed twice"

    def attempt(self, sample: str, round_: int = 1) -> AttemptRow:
        (row,) = self.rows(AttemptRow, sample=sample, round=round_)
        return row


async def _within(waiting: Awaitable[Any], seconds: float) -> None:
    task = asyncio.ensure_future(waiting)
    await asyncio.wait([task], timeout=seconds)
    task.cancel()


def recipe_of(
    target: str,
    amounts_mg: Mapping[str, float],
    *,
    temperature_c: float = 250.0,
    dwell_s: float = 600.0,
    mixing_s: float = 120.0,
) -> Recipe:
    """A short recipe for where the chemistry does not matter."""
    segment = Segment(ramp_c_per_min=10.0, temperature_c=temperature_c, dwell_s=dwell_s)
    return Recipe(
        target=target,
        precursors=tuple(
            PrecursorAmount(formula=formula, moles=1.0, mass_mg=mass_mg)
            for formula, mass_mg in amounts_mg.items()
        ),
        reaction=f"{' + '.join(amounts_mg)} → {target}",
        mixing_s=mixing_s,
        atmosphere=Atmosphere.AIR,
        profile=Profile(segments=(segment,)),
        reasons=("A short firing.",),
    )
