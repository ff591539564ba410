"""The typer application, and what its commands have in common.

Only typer is imported here, so that ``--help`` and shell completion answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

SEED_MAX: Final = 2**63 - 1

app = typer.Typer(
    name="simroom",
    help="Simulate and load-test the scheduling and room routing of live speech translation.",
    no_args_is_help=True,
    # Plain help: rendering it with rich would cost more than all the rest of --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SIMROOM"},
)

Scenario = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML).", show_default=False)]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=SEED_MAX, help="Where all chance comes from. Default: the scenario's.", metavar="N"),
]
Own = Annotated[
    str | None,
    typer.Option(metavar="MODULE:FACTORY", help="A scheduler of your own, for example my_package.mine:make."),
]
Force = Annotated[bool, typer.Option("--force", help="Run it however many events it is estimated to have.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only, and no progress.")]
NoColour = Annotated[bool, typer.Option("--no-color", help="Plain text. NO_COLOR in the environment too.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, max=1_024, metavar="N", help="Processes at work. Default: one for each processor.")
]
