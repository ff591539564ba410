"""Why a job went where it went, in words: the rule that decided, and where the others stood."""

from __future__ import annotations

from simroom.scheduler.messages import ErrorCode
from simroom.scheduler.settings import Settings
from simroom.study.trail import Placing, Verdicts
from simroom.study.words import counted, listed, setting


def why(placing: Placing, settings: Settings) -> str:
    """The rule by which a node was chosen or none was."""
    if placing.node is None:
        return _why_nowhere(placing, settings)
    if placing.paired == placing.node:
        return "paired with the speaker, and it passes every filter"
    if placing.sticky == placing.node:
        return f"sticky: {settings.sticky}: the last node of this {settings.sticky}, and it passes every filter"
    if settings.policy == "random":
        return "policy: random: one of those that fit, by chance"
    if settings.policy == "choices":
        return f"policy: choices: the fewest jobs of {settings.choices_count} drawn by chance"
    if settings.policy == "any":
        return "policy: any: any node that fits will do"
    verdicts = placing.verdicts
    if verdicts is None:
        return "this scheduler has no dry run that could be asked why"
    return _why_least(placing, verdicts, settings)


def _why_nowhere(placing: Placing, settings: Settings) -> str:
    if placing.code == ErrorCode.NO_AVAILABLE_NODE:
        limit = f", and {settings.waiting_count_max:,} wait already" if settings.on_no_node == "queue" else ""
        return f"on_no_node: {settings.on_no_node}{limit}"
    return f"on_no_node: queue: it waits {setting(settings.waiting_time_max)} at most"


def _why_least(placing: Placing, verdicts: Verdicts, settings: Settings) -> str:
    chosen = next((verdict for verdict in verdicts.shown if verdict.chosen), None)
    if chosen is None:
        return "the scheduler's dry run does not know this node"
    if chosen.exclude_reason is not None:
        return f"against the rules: it is excluded, {chosen.exclude_reason.value}"
    again = None
    if placing.node in placing.tried:
        again = "every node that fits was given the job before, so it is one of those"
    elif placing.tried:
        again = "a new attempt prefers nodes never given the job"
    if verdicts.fit == 1:
        return again or "the only one that fits"
    if chosen.jobs != verdicts.fewest:
        if again is not None:
            return f"{again}: of those it has the fewest"
        return f"against the rules: {listed(verdicts.tied)} had fewer jobs"
    if verdicts.tied_count == 1:
        least = "the fewest jobs"
    else:
        least = f"the fewest jobs, as {counted(verdicts.tied_count - 1, 'other')}; {_tie(placing, settings)}"
    return least if again is None else f"{again}; {least}"


def _tie(placing: Placing, settings: Settings) -> str:
    if settings.tie_break == "first":
        return "tie_break: first: the first of them to register"
    if settings.tie_break == "random":
        return "tie_break: random"
    return "tie_break: rotate" if placing.after is None else f"tie_break: rotate: the next after {placing.after}"
