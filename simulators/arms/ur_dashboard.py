"""A simulated Universal Robots arm behind its Dashboard server.

Written from "Dashboard Server e-Series" (Universal Robots): LF lines, a banner on connect.
The controller stores one program for every slot the arm reaches (see alab.programs).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from alab import programs
from alab.lab import LabDefinition
from simulators.wire import TcpLine
from simulators.world.remembered import Remembered
from simulators.world.world import World

SHORTEST_PROGRAM_S = 20.0
LONGEST_PROGRAM_S = 60.0
ACT_AT_FRACTION = 0.6
"""Share of a program's time at which the gripper opens or closes."""

XRD_PORTION_MG = 200.0
PROGRAM_FOLDER = "/programs/"


class Collision(Exception):  # noqa: N818
    """What the arm met makes its safety system stop it."""


class Gripper:
    """An arm's hand in the world: what each stored program does there.

    Attributes:
        stored: Act of every stored program, by file name.
        place: Where every stored program reaches, by file name.
    """

    def __init__(self, world: World, lab: LabDefinition, arm: str) -> None:
        self._world = world
        self._lab = lab
        self._arm = arm
        self.stored: dict[str, Callable[[], None]] = {}
        self.place: dict[str, str] = {}
        for name, place in lab.places.items():
            if arm in place.arms:
                self._store_programs(name)
                self.place |= dict.fromkeys(self.stored.keys() - self.place.keys(), name)

    def _store_programs(self, place: str) -> None:
        device = self._lab.places[place].device
        kind = self._lab.devices[device].kind if device else ""
        for slot in self._lab.slots(place):
            if kind == "aeris_uai":
                self.stored[programs.fill_holder(slot)] = lambda s=slot: self._fill(s)
                self.stored[programs.empty_holder(slot)] = lambda s=slot: self._empty(s)
                continue
            self.stored[programs.pick(slot)] = lambda s=slot: self._pick(s)
            if place != self._lab.crucible_dispenser:
                self.stored[programs.place(slot)] = lambda s=slot: self._place(s)
        if device is not None and kind == "mettler_quantos":
            for precursor in self._lab.precursors.values():
                number = precursor.head
                self.stored[programs.mount_head(number)] = lambda n=number, d=device: (
                    self._mount(d, n)
                )

    def _pick(self, slot: str) -> None:
        world = self._world
        self._reach_into(slot)
        if self._arm in world.gripped:
            raise Collision(f"gripper holds {world.gripped[self._arm].name} already")
        if self._lab.place_of(slot) == self._lab.crucible_dispenser:
            world.gripped[self._arm] = world.new_crucible()
        elif slot in world.crucibles:
            world.gripped[self._arm] = world.crucibles.pop(slot)
        else:
            raise Collision(f"nothing to grip in {slot}")

    def _place(self, slot: str) -> None:
        world = self._world
        self._reach_into(slot)
        if self._arm not in world.gripped:
            raise Collision("gripper lost its grip")
        if slot in world.crucibles:
            raise Collision(f"{world.crucibles[slot].name} stands in {slot}")
        world.crucibles[slot] = world.gripped.pop(self._arm)

    def _mount(self, doser: str, number: int) -> None:
        if self._arm in self._world.gripped:
            raise Collision("gripper is not empty")
        # the head that goes home has lost what was dosed from it
        self._world.mark(doser, self._world.mounted.get(doser, number), number)
        if number not in self._world.heads:
            raise Collision(f"no head {number} in the rack")
        self._world.mounted[doser] = number

    def _fill(self, slot: str) -> None:
        world = self._world
        world.mark(slot)
        if self._arm not in world.gripped:
            raise Collision("gripper lost its grip")
        if slot in world.holders:
            raise Collision(f"holder {slot} is full")
        world.holders[slot] = world.gripped[self._arm].powder.take(XRD_PORTION_MG)

    def _empty(self, slot: str) -> None:
        self._world.mark(slot)
        self._world.holders.pop(slot, None)

    def _reach_into(self, slot: str) -> None:
        """Meet a furnace door that is shut."""
        self._world.mark(slot)
        device = self._lab.places[self._lab.place_of(slot)].device
        door = self._lab.devices[device].door if device else None
        if door is not None and door not in self._world.open_doors:
            raise Collision(f"{door} is shut")


@dataclass(slots=True, kw_only=True)
class Run:
    """A program that plays or is paused.

    Attributes:
        done_s: Seconds of it that have been played.
        duration_s: How long it takes.
        acted: Whether the gripper has acted.
    """

    duration_s: float
    done_s: float = 0.0
    acted: bool = False


class UrDashboard(Remembered):
    """Answers Dashboard lines and plays programs.

    Attributes:
        safety: Safety status as the controller words it.
        mode: Robot mode as the controller words it.
        remote: Whether the pendant is in remote control.
        collided_with: What the last protective stop was about.
    """

    remembered = (
        "safety",
        "mode",
        "remote",
        "frozen",
        "collided_with",
        "_loaded",
        "_run",
        "_paused",
        "_plays",
        "_now_s",
    )
    greeting = b"Connected: Universal Robots Dashboard Server\n"
    due_s = math.inf

    def __init__(self, world: World, lab: LabDefinition, name: str) -> None:
        self.safety = "NORMAL"
        self.mode = "RUNNING"
        self.remote = True
        self.frozen = False
        self.collided_with = ""
        self._world = world
        self._name = name
        self._gripper = Gripper(world, lab, name)
        self._loaded: str | None = None
        self._run: Run | None = None
        self._paused = False
        self._plays = 0
        self._now_s = world.now_s()
        world.register(name, self)

    def advance(self, now_s: float) -> None:
        """Play on until ``now_s``."""
        passed_s, self._now_s = now_s - self._now_s, now_s
        run = self._run
        if run is None or self._paused:
            return
        if self.safety != "NORMAL":
            self._paused = True
            self._world.mark(self._name)
            return
        run.done_s += passed_s
        if not run.acted and run.done_s >= ACT_AT_FRACTION * run.duration_s:
            run.acted = True
            self._act()
        if not self._paused and run.done_s >= run.duration_s:
            self._run = None
            self._world.mark(self._name)

    def collide(self, met: str) -> None:
        """Stop for what the arm has met, until a person clears it."""
        self.safety = "PROTECTIVE_STOP"
        self.collided_with = met
        self._paused = True
        self._world.mark(self._name)

    def lose_power(self) -> None:
        """Stand wherever it was; when it is back it is off, with nothing loaded."""
        self._run, self._loaded, self._paused = None, None, False
        self.mode = "POWER_OFF"
        self._world.mark(self._name)

    def unasked(self) -> bytes:
        """Nothing: the server only answers."""
        return b""

    def answer(self, request: bytes) -> bytes:
        """Answer one line."""
        if self.frozen:
            return b""
        return self._reply(request.decode("utf-8", errors="replace").strip()).encode() + b"\n"

    def _act(self) -> None:
        self._world.mark(self._name)
        try:
            self._gripper.stored[self._loaded or ""]()
        except Collision as collision:
            self.collide(str(collision))

    def _reply(self, text: str) -> str:
        command, _, argument = text.partition(" ")
        if command == "load" and argument:
            return self._load(argument)
        loaded = f"{PROGRAM_FOLDER}{self._loaded}"
        queries = {
            "running": f"Program running: {str(self._plays_now).lower()}",
            "programState": f"{self._state} {self._loaded}" if self._loaded else "STOPPED",
            "robotmode": f"Robotmode: {self.mode}",
            "safetystatus": f"Safetystatus: {self.safety}",
            "is in remote control": str(self.remote).lower(),
            "get loaded program": (
                f"Loaded program: {loaded}" if self._loaded else "No program loaded"
            ),
            "close popup": "closing popup",
            "get robot model": "UR5",
            "get serial number": f"20{self._world.rng(self._name).integers(10**8):08d}",
            "PolyscopeVersion": "URSoftware 5.12.6.1102099 (Sep 21 2023)",
        }
        if text in queries:
            return queries[text]
        self._world.mark(self._name)
        acts = {
            "play": self._play,
            "stop": self._stop,
            "pause": self._pause,
            "unlock protective stop": self._unlock,
        }
        return acts[text]() if text in acts else f"could not understand: '{text}'"

    @property
    def _plays_now(self) -> bool:
        return self._run is not None and not self._paused

    @property
    def _state(self) -> str:
        if self._run is None:
            return "STOPPED"
        return "PAUSED" if self._paused else "PLAYING"

    def _load(self, path: str) -> str:
        name = path.removeprefix(PROGRAM_FOLDER)
        if name not in self._gripper.stored:
            return f"File not found: {path}"
        if self._run is not None or not self.remote:
            return f"Error while loading program: {path}"
        self._loaded = name
        self._world.mark(self._name)
        return f"Loading program: {path}"

    def _play(self) -> str:
        ready = self.safety == "NORMAL" and self.mode == "RUNNING" and self.remote
        if not ready or self._loaded is None or self._plays_now:
            return "Failed to execute: play"
        self._paused = False
        if self._run is None:
            self._plays += 1
            draw = self._world.rng(self._name, "program", self._plays)
            self._run = Run(duration_s=draw.uniform(SHORTEST_PROGRAM_S, LONGEST_PROGRAM_S))
        self._meet_others()
        return "Starting program"

    @property
    def reaches(self) -> str | None:
        """Place that it works in, from the start of a program until its end."""
        return self._gripper.place[self._loaded] if self._run and self._loaded else None

    def _meet_others(self) -> None:
        """Two arms over one place collide, even if one of them is paused there."""
        for name, other in self._world.devices.items():
            if other is self or not isinstance(other, UrDashboard):
                continue
            if other.reaches == self.reaches:
                self.collide(f"{name} over {self.reaches}")
                other.collide(f"{self._name} over {self.reaches}")

    def _stop(self) -> str:
        if self._run is None:
            return "Failed to execute: stop"
        self._run = None
        self._paused = False
        return "Stopped"

    def _pause(self) -> str:
        if not self._plays_now:
            return "Failed to execute: pause"
        self._paused = True
        return "Pausing program"

    def _unlock(self) -> str:
        """What an operator does once the cause is gone; no driver may."""
        if self.safety == "PROTECTIVE_STOP":
            self.safety = "NORMAL"
        return "Protective stop releasing"


def line(world: World, lab: LabDefinition, names: list[str]) -> TcpLine:
    """The Dashboard server of one arm."""
    (name,) = names
    return TcpLine(world, UrDashboard(world, lab, name), b"\n")
