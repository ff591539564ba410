"""The ``scheduler:`` section: made from the scheduler's own settings, so that the two never differ.

Names, defaults and choices are those of ``simroom.scheduler.settings.Settings``; what a number of it means in a file
(a span, a share, a count) is said here.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import msgspec
from pydantic import Field, create_model

from simroom.scenario.fields import Count, Duration, Model, Name, PositiveDuration, Share, Whole
from simroom.scheduler.settings import Settings

NUMBERS: Final[dict[str, Any]] = {
    "resource_threshold": Share,
    "choices_count": Annotated[int, Field(ge=1, le=1_000)],
    "max_concurrent_jobs": Count,
    "waiting_time_max": Duration,
    "waiting_count_max": Whole,
    "max_hold": Duration,
    "job_timeout": PositiveDuration,
    "max_attempts": Annotated[int, Field(ge=1, le=100)],
    "abandon_after": Duration,
    "health_check_count": Annotated[int, Field(ge=1, le=1_000)],
    "warmup_timeout": PositiveDuration,
    "heartbeat_timeout": PositiveDuration,
    "node_scan_interval": PositiveDuration,
    "room_expiry": PositiveDuration,
    "room_scan_interval": PositiveDuration,
    "room_size_max": Count | None,
    "reconnect_grace": Duration,
    "kept_count_max": Whole,
    "pairing": dict[Name, Name],
}
"""How a file says each setting that is not a choice between words."""


class _Section(Model):
    """The scheduler's settings as a scenario says them."""

    def settings(self) -> Settings:
        """The same as the scheduler takes them."""
        values = self.model_dump()
        return Settings(**{name: values[name] for name in Settings.__struct_fields__})


def _descriptions() -> dict[str, str]:
    """What the settings' own docstring says of each; empty where docstrings are stripped."""
    text = inspect.getdoc(Settings) or ""
    entries = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", text, flags=re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in entries}


def _section() -> type[_Section]:
    types = get_type_hints(Settings)
    described = _descriptions()
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        kind = NUMBERS.get(field.name, types[field.name])
        if field.default_factory is not msgspec.NODEFAULT:
            default = Field(default_factory=field.default_factory, description=described.get(field.name))
        else:
            default = Field(default=field.default, description=described.get(field.name))
        fields[field.name] = (kind, default)
    return create_model("SchedulerSection", __base__=_Section, __module__=__name__, **fields)


if TYPE_CHECKING:
    SchedulerSection = _Section
else:
    SchedulerSection = _section()
