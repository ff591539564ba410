"""Named streams: known values, independence, evenness, and the same everywhere.

The chi-square tests have fixed seeds: they never flicker. Their limits are the 1 - 1e-6 quantiles, so that a correct
program would have failed one of them, had the seeds been others, with odds of 1 in 1,000,000 each.
"""

import math
import subprocess
import sys
from hashlib import blake2b

import pytest
from numpy.random import SeedSequence

from simroom.workload.streams import Stream, mix, mix_one, mix_two, offset_of_two, stream_key

MASK = (1 << 64) - 1


def chi_square_limit(degrees: int) -> float:
    """The 1 - 1e-6 quantile by Wilson and Hilferty, within 1 % for 6 degrees or more."""
    z = 4.753424308822899
    return degrees * (1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 for count in counts) / expected


@pytest.mark.parametrize(
    ("key", "draws"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]),
        (
            1234567,
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423,
                4593380528125082431,
                16408922859458223821,
            ],
        ),
    ],
)
def test_a_stream_gives_the_published_values_of_splitmix64(key: int, draws: list[int]) -> None:
    stream = Stream(key)
    assert [stream.bits() for _ in draws] == draws


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1, 2**32, 2**63, 2**128 - 1, 2**128, 2**200 + 12345])
@pytest.mark.parametrize("name", ["", "rooms", "network/downlink", "日本語", "\ud800"])
def test_a_key_is_what_numpys_seed_sequence_gives(seed: int, name: str) -> None:
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    spawn_key = tuple(int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4))
    low, high = SeedSequence(seed, spawn_key=spawn_key).generate_state(2).tolist()
    assert stream_key(seed, name) == low | high << 32


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or above"):
        stream_key(-1, "rooms")


def test_no_two_names_or_seeds_share_a_key() -> None:
    keys = {stream_key(seed, f"room-{number}") for seed in range(5) for number in range(1000)}
    assert len(keys) == 5000


def test_using_one_stream_changes_no_other() -> None:
    alone = Stream(stream_key(7, "utterances"))
    expected = [alone.bits() for _ in range(100)]
    network, beside = Stream(stream_key(7, "network")), Stream(stream_key(7, "utterances"))
    seen = []
    for number in range(100):
        for _ in range(number % 4):
            network.bits()
        seen.append(beside.bits())
    assert seen == expected


def test_streams_of_neighbouring_names_and_seeds_are_uncorrelated() -> None:
    # The correlation of n independent pairs has a standard deviation of 1/sqrt(n); 5 of them: 1 in 1.7 million.
    count = 4000
    base = Stream(stream_key(7, "room-1"))
    first = [base.uniform() - 0.5 for _ in range(count)]
    for other_key in (stream_key(7, "room-2"), stream_key(8, "room-1"), mix(stream_key(7, "room-1"), 0)):
        other = Stream(other_key)
        second = [other.uniform() - 0.5 for _ in range(count)]
        correlation = 12 * sum(a * b for a, b in zip(first, second, strict=True)) / count
        assert abs(correlation) < 5 / math.sqrt(count)


def test_the_draws_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from simroom.workload.streams import Stream, mix, stream_key\n"
        "key = stream_key(7, 'rooms')\n"
        "stream = Stream(key)\n"
        "print(key, [stream.bits() for _ in range(3)], stream.below(10), stream.uniform(), mix(key, 1, 2, 3))\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "12345")
    }
    stream = Stream(stream_key(7, "rooms"))
    here = [stream.bits() for _ in range(3)], stream.below(10), stream.uniform()
    assert printed == {
        f"{stream_key(7, 'rooms')} {here[0]} {here[1]} {here[2]} {mix(stream_key(7, 'rooms'), 1, 2, 3)}\n"
    }


@pytest.mark.parametrize("shift", [0, 11, 24, 37, 51, 56])
def test_every_part_of_the_bits_is_even(shift: int) -> None:
    stream = Stream(stream_key(1, "evenness"))
    counts = [0] * 256
    for _ in range(25_600):
        counts[stream.bits() >> shift & 255] += 1
    assert chi_square(counts) < chi_square_limit(255)


def test_keyed_draws_are_even_and_uncorrelated_over_consecutive_parts() -> None:
    key = stream_key(1, "evenness")
    counts, pairs = [0] * 256, [0] * 256
    for utterance in range(160):
        for language in range(16):
            for attempt in range(10):
                bits = mix(key, utterance, language, attempt)
                counts[bits >> 56] += 1
                pairs[(bits >> 60 << 4) | mix(key, utterance, language, attempt + 1) >> 60] += 1
    assert chi_square(counts) < chi_square_limit(255)
    assert chi_square(pairs) < chi_square_limit(255)


def test_keyed_draws_never_meet_over_a_large_grid_of_parts() -> None:
    key = stream_key(3, "meeting")
    seen = {mix(key, a, b, c) for a in range(40) for b in range(40) for c in range(40)}
    seen |= {mix(key, a, b) for a in range(40) for b in range(40)} | {mix(key, a) for a in range(40)}
    assert len(seen) == 40**3 + 40**2 + 40


def test_the_order_of_parts_matters() -> None:
    assert len({mix(5, 1, 2), mix(5, 2, 1), mix(5, 1, 2, 0), mix(5, 0, 1, 2), mix(5, 1, 2, 0, 0)}) == 5


def test_a_step_in_one_part_flips_half_of_the_bits() -> None:
    # 640,000 fair flips: the mean of 64 is within 5 standard deviations, .04 each of 4/sqrt(10,000).
    flips = [(mix(9, n, 3, 1) ^ mix(9, n + 1, 3, 1)).bit_count() for n in range(10_000)]
    assert abs(sum(flips) / len(flips) - 32) < 0.2


def test_below_is_even_and_stays_below() -> None:
    stream = Stream(stream_key(2, "evenness"))
    counts = [0] * 7
    for _ in range(21_000):
        counts[stream.below(7)] += 1
    assert chi_square(counts) < chi_square_limit(6)
    assert {stream.below(1) for _ in range(10)} == {0}


class Extreme(Stream):
    """A stream that always draws the same bits."""

    def __init__(self, drawn: int) -> None:
        super().__init__(0)
        self.drawn = drawn

    def bits(self) -> int:
        return self.drawn


def test_the_extremes_stay_inside() -> None:
    assert 0 < Extreme(0).uniform() < 2.0**-52
    assert 1 - 2.0**-51 < Extreme(MASK).uniform() < 1
    assert (Extreme(0).below(9), Extreme(MASK).below(9)) == (0, 8)


def test_a_stream_is_small() -> None:
    assert sys.getsizeof(Stream(MASK)) <= 48
    assert not hasattr(Stream(1), "__dict__")


def test_the_short_forms_of_mix_are_the_same_function() -> None:
    for key in (0, 1, 2**64 - 1, 0x123456789ABCDEF0):
        for first in (0, 1, 77, 2**63):
            assert mix_one(key, first) == mix(key, first)
            for second in (0, 5, 2**40):
                assert mix_two(key, offset_of_two(first, second)) == mix(key, first, second)
