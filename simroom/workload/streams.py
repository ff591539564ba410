"""Named streams of chance: each is a key made from the seed and a name, so none depends on another's use.

Two ways to draw. A `Stream` counts: its draws depend on how often it was asked, so it suits what happens in a fixed
order (the turns of one room). `mix` draws by what the draw is about (utterance, language, attempt): removing one
thing then changes nobody else's luck. Both are splitmix64 (Steele, Lea & Flood 2014), plain integer arithmetic:
the same on every machine, Python version and hash seed.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15  # splitmix64's step: 2**64 / golden ratio, odd
_FIRST: Final = 0xBF58476D1CE4E5B9  # splitmix64's finaliser, "variant 13" of Stafford
_SECOND: Final = 0x94D049BB133111EB
# One multiplier for each part of a keyed draw: the powers of a 64-bit multiplier with a good lattice in up to eight
# dimensions (Steele & Vigna 2021), so that small integers combined by them do not meet.
_PART_1: Final = 0xD1342543DE82EF95
_PART_2: Final = _PART_1**2 & _MASK
_PART_3: Final = _PART_1**3 & _MASK
_PART_4: Final = _PART_1**4 & _MASK
_ABSENT: Final = -1  # parts are 0 or above, so that an absent one is like none that is there
_REST_OF_TWO: Final = _ABSENT * (_PART_3 + _PART_4)
_REST_OF_ONE: Final = _ABSENT * _PART_2 + _REST_OF_TWO

# The constants of numpy's SeedSequence (O'Neill 2015, "Developing a seed_seq alternative").
_POOL_SIZE: Final = 4
_INIT_A: Final = 0x43B0D7E5
_MULT_A: Final = 0x931E8875
_INIT_B: Final = 0x8B51F9DD
_MULT_B: Final = 0x58F38DED
_MIX_LEFT: Final = 0xCA01F9DD
_MIX_RIGHT: Final = 0x4973F715
_WORD: Final = 0xFFFFFFFF


def stream_key(seed: int, name: str) -> int:
    """Make the 64-bit key of a named stream.

    It is what numpy's ``SeedSequence(seed, spawn_key=<128 bits of the name>)`` gives, so which other names are used,
    and in which order, changes nothing.

    Args:
        seed: The run's seed, 0 or above, of any size.
        name: What the stream decides, such as ``"network/downlink"``. Any text; two names never share a stream
            (but for one chance in 2**64).

    Returns:
        A key for `Stream` or `mix`, in ``0..2**64-1``.

    Raises:
        ValueError: ``seed`` is negative.
    """
    if seed < 0:
        raise ValueError(f"a seed is 0 or above, not {seed}")
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    spawn_key = [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]
    words = [seed >> at & _WORD for at in range(0, max(1, seed.bit_length()), 32)]
    words += [0] * (_POOL_SIZE - len(words))
    return _seed_sequence(words + spawn_key)


def _seed_sequence(entropy: list[int]) -> int:
    """The first 64 bits of the state of numpy's ``SeedSequence`` over these 32-bit words, at least four.

    Written out because importing numpy's generators costs more time than the rest of this package; the tests hold
    it against the original.
    """
    constant = _INIT_A

    def hashed(word: int) -> int:
        nonlocal constant
        word ^= constant
        constant = constant * _MULT_A & _WORD
        word = word * constant & _WORD
        return word ^ word >> 16

    def mixed(into: int, word: int) -> int:
        result = (into * _MIX_LEFT - word * _MIX_RIGHT) & _WORD
        return result ^ result >> 16

    pool = [hashed(word) for word in entropy[:_POOL_SIZE]]
    for source in range(_POOL_SIZE):
        for target in range(_POOL_SIZE):
            if source != target:
                pool[target] = mixed(pool[target], hashed(pool[source]))
    for word in entropy[_POOL_SIZE:]:
        for target in range(_POOL_SIZE):
            pool[target] = mixed(pool[target], hashed(word))
    key, constant = 0, _INIT_B
    for at in range(2):
        word = pool[at] ^ constant
        constant = constant * _MULT_B & _WORD
        word = word * constant & _WORD
        key |= (word ^ word >> 16) << 32 * at
    return key


def mix(key: int, first: int, second: int = _ABSENT, third: int = _ABSENT, fourth: int = _ABSENT) -> int:
    """Draw 64 random bits that belong to these parts, whoever else draws what and when.

    Args:
        key: From `stream_key` or from another `mix` (room 17 of a group: ``mix(group_key, 17)``). One key, one
            purpose.
        first: What the draw is about, such as an utterance's number; 0 or above.
        second: The same, where one number does not say it; order and number of the parts matter.
        third: The same.
        fourth: The same.

    Returns:
        An integer in ``0..2**64-1``, good as a key or for a sampler.
    """
    z = (key + first * _PART_1 + second * _PART_2 + third * _PART_3 + fourth * _PART_4) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def mix_one(key: int, first: int) -> int:
    """As ``mix`` with one part, for hot paths."""
    z = (key + first * _PART_1 + _REST_OF_ONE) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def offset_of_two(first: int, second: int) -> int:
    """What two parts come to in ``mix``, for ``mix_two``, whatever the key."""
    return (first * _PART_1 + second * _PART_2 + _REST_OF_TWO) & _MASK


def mix_two(key: int, offset: int) -> int:
    """As ``mix`` with two parts, given as ``offset_of_two``; for hot paths that meet the same parts many times."""
    z = (key + offset) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


class Stream:
    """One sequence of draws: splitmix64 over a key, one integer of state.

    Args:
        key: From `stream_key` or `mix`; taken modulo 2**64.
    """

    __slots__ = ("_state",)

    def __init__(self, key: int) -> None:
        self._state = key & _MASK

    def bits(self) -> int:
        """Draw 64 random bits: an integer in ``0..2**64-1``."""
        z = self._state = (self._state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * _FIRST) & _MASK
        z = ((z ^ (z >> 27)) * _SECOND) & _MASK
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """Draw a number strictly between 0 and 1, on a grid of 2**52 cell midpoints."""
        return ((self.bits() >> 12) + 0.5) * 2.0**-52

    def below(self, count: int) -> int:
        """Draw one of ``0..count-1``, each as likely but for ``count`` parts in 2**64.

        Args:
            count: How many there are to choose from, 1 or more.
        """
        return self.bits() * count >> 64
