"""The random scenarios of ``simroom fuzz``, under the names that the tests here know."""

from __future__ import annotations

from simroom.study.drawing import CHOICES, drawn

__all__ = ["CHOICES", "scenario"]

scenario = drawn
