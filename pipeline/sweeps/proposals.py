"""The combinations of values that a search tries: points of a Sobol sequence in the space that is swept.

The space is written in Hydra's grammar. The points fill it more evenly than random ones: A. B. Owen,
"Scrambling Sobol' and Niederreiter-Xing Points" (1998). Equal seeds give equal combinations on every machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from pipeline.support import elementary
from pipeline.support.errors import UserError

# Of a value from an interval: a user can read so many, and a logarithm's last bit does not change them.
DIGITS = 4
MOST_POINTS = 1 << 16  # that are looked at for combinations that are not there yet


def propose(swept: Sequence[Override], count: int, seed: int) -> list[list[str]]:
    """Return `count` different combinations of the values of `swept`, or all there are if these are fewer.

    Args:
        swept: at least one; lists, choices, ranges or intervals, also logarithmic ones.
        count: how many combinations.
        seed: of the sequence.

    Raises:
        UserError: if an interval is none.
    """
    from scipy.stats import qmc  # here, since it takes a second

    scales = [scale(override) for override in swept]
    sequence = qmc.Sobol(len(swept), scramble=True, rng=seed)
    most = min(count, math.prod(scale.values for scale in scales))
    found: dict[tuple[str, ...], None] = {}
    drawn = 0
    while len(found) < most and drawn < MOST_POINTS:
        size = max(drawn, 1)  # 1, 1, 2, 4, …: the sequence is even at powers of two
        for point in sequence.random(size).tolist():
            found.setdefault(tuple(scale.pick(share) for scale, share in zip(scales, point, strict=True)))
        drawn += size
    return [list(combination) for combination in found][:count]


@dataclass(frozen=True)
class Scale:
    """The values of one key.

    Attributes:
        values: how many there are; infinity in an interval.
        pick: returns the override `key=value` for a number from 0 to 1 (exclusive).
    """

    values: float
    pick: Callable[[float], str]


def scale(override: Override) -> Scale:
    """Return the values that `override` sweeps, as a scale.

    Raises:
        UserError: if they are an interval whose ends are none.
    """
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        between = in_interval(value, str(override.input_line))
        return Scale(math.inf, lambda share: f"{key}={between(share)}")
    if isinstance(value, ChoiceSweep | RangeSweep):
        value.shuffle = False  # the points are as good as random
    texts = list(override.sweep_string_iterator())
    return Scale(len(texts), lambda share: f"{key}={texts[int(share * len(texts))]}")


def in_interval(interval: IntervalSweep, where: str) -> Callable[[float], float]:
    """Return what turns a number from 0 to 1 into one in the `interval`.

    Args:
        interval: logarithmic if it has that tag. Its values are whole numbers if its ends are.
        where: what the user wrote, for the message.
    """
    low, high = interval.start, interval.end
    logarithmic = "log" in interval.tags
    if low is None or high is None or not -math.inf < low < high < math.inf or (logarithmic and low <= 0):
        above = ", both above 0" if logarithmic else ""
        raise UserError(f"{where}: should be interval(low,high), low less than high{above}")
    whole = isinstance(low, int) and isinstance(high, int)
    top = high + 1 if whole else high  # the last whole number is as likely as the others
    logs = elementary.log([low, top]) if logarithmic else np.array([0.0, 0.0])

    def pick(share: float) -> float:
        if logarithmic:
            number = float(elementary.exp(logs[0] + share * (logs[1] - logs[0])))
        else:
            number = low + share * (top - low)
        rounded = math.floor(number) if whole else float(f"{number:.{DIGITS}g}")
        return min(max(rounded, low), high)

    return pick
