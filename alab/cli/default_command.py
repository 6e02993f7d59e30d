"""A group of commands of which one is meant where none is named."""

from typing import Any, ClassVar

from typer.core import TyperGroup


class _DefaultCommand(TyperGroup):
    default: ClassVar[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in where the first word names none."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class Proposing(_DefaultCommand):
    """``alab recipes BaTiO3`` is short for ``alab recipes propose BaTiO3``."""

    default = "propose"


class Predicting(_DefaultCommand):
    """``alab reactions BaO TiO2`` is short for ``alab reactions predict BaO TiO2``."""

    default = "predict"
