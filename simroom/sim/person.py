"""Who sits behind a client: what they speak, want to hear, and say first."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simroom.scheduler.messages import Features, SessionInit

CLIENT_VERSION: Final = "simroom"


class Person(Struct, frozen=True):
    """Who sits behind a client; the same object for all who are alike.

    Attributes:
        greeting: What such a client says first.
        preferred_lang: None: none.
    """

    greeting: SessionInit
    preferred_lang: str | None = None
    display_name: str | None = None


def person(
    *,
    src_lang: str,
    tgt_lang: str,
    preferred_lang: str | None = None,
    display_name: str | None = None,
    features: Features | None = None,
    auto_langs: tuple[str, ...] | None = None,
    pairing_code: str | None = None,
) -> Person:
    """Make somebody.

    Args:
        src_lang: Language of the speech, as the scenario writes it.
        tgt_lang: Target where the room does not decide.
        preferred_lang: None: none.
        display_name: None: none.
        features: None: no optional ones.
        auto_langs: Languages that a source of ``auto`` may be; None: any.
        pairing_code: None: not paired with a node.
    """
    greeting = SessionInit(
        CLIENT_VERSION,
        "sim",
        src_lang,
        tgt_lang,
        features=features,
        pairing_code=pairing_code,
        auto_langs=auto_langs,
    )
    return Person(greeting, preferred_lang, display_name)
