"""The page docs/cli.md, made from the commands themselves.

Write it with ``python -m alab.cli.reference docs/cli.md``; a test compares the two.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from alab.cli.main import LazyCommand, app

HEAD = """# The command line

Made from the commands by `python -m alab.cli.reference docs/cli.md`; do not edit.

Commands that read (`list`, `show`, `why`) ask the running laboratory, or else its data
directory, which they leave as it is. Commands that act need a running laboratory
(`alab up`). With `--json` standard output holds JSON and nothing else; units are in its
keys. Settings come from the environment: `ALAB_DATA_DIR`, `ALAB_LAB_FILE`, `ALAB_HOST`,
`ALAB_PORT`, `ALAB_PREFECT_PORT`, `ALAB_OPERATOR`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed: the message says why |
| 2 | bad input or wrong usage |
| 3 | no laboratory runs, or it does not answer |
| 130 | interrupted with Ctrl-C |
"""


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Every command with its full name, in the order of the help."""
    root = typer.main.get_command(app)
    yield from _below("alab", root)


def _below(name: str, command: Any) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        context = command.make_context(name, [], resilient_parsing=True)
        for word in command.list_commands(context):
            yield from _below(f"{name} {word}", command.get_command(context, word))
    elif isinstance(command, LazyCommand):
        yield name, command.load()
    else:
        yield name, command


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(_section(name, command) for name, command in commands())])


def _section(name: str, command: TyperCommand) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", (command.help or "").strip(), "", f"    {name} {usage}", ""]
    lines += [f"- {_words(parameter)}" for parameter in command.params if _words(parameter)]
    return "\n".join([*lines, "", (command.epilog or "").strip(), ""])


def _words(parameter: Any) -> str:
    said = getattr(parameter, "help", None)
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`: {said}"
    if parameter.name == "help":
        return ""
    forms = ", ".join(f"`{form}`" for form in [*parameter.opts, *parameter.secondary_opts])
    return f"{forms}: {said}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
