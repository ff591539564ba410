"""simroom: simulator and load tester for the scheduling and room routing of live speech translation.

For programs: ``run``, ``check``, ``compare``, ``validate`` and ``update_baselines``, with what they return and raise;
see ``docs/api.md``. They are imported when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from simroom.api import (
        Case,
        Checked,
        Comparison,
        Expected,
        OversizeError,
        Problem,
        Renewed,
        Result,
        Route,
        ScenarioError,
        Tally,
        Violation,
        check,
        compare,
        run,
        update_baselines,
        validate,
    )

__all__ = [
    "Case",
    "Checked",
    "Comparison",
    "Expected",
    "OversizeError",
    "Problem",
    "Renewed",
    "Result",
    "Route",
    "ScenarioError",
    "Tally",
    "Violation",
    "__version__",
    "check",
    "compare",
    "run",
    "update_baselines",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module 'simroom' has no attribute {name!r}")
    from simroom import api  # noqa: PLC0415 - the command line starts without it

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
