"""Elementary functions that give the same bits on every machine, made of IEEE 754 operations alone.

The last bit of `numpy.exp` and its relatives depends on the system's libm and on the processor's SIMD
instructions. IEEE 754 fixes the results of addition, subtraction, multiplication, division, square root and
comparison, so a function that is made of these alone is the same everywhere. NumPy rounds after each
operation: no compiler can fuse two of them. Every function takes and returns float64 arrays of any shape.

The approximations and their coefficients are those of FreeBSD's msun (Sun Microsystems, 1993: `e_exp.c`,
`s_expm1.c`, `e_log.c`, `s_log1p.c`, `s_erf.c`, `k_sin.c`, `k_cos.c`). The errors in the docstrings are the
largest that `tests/support/test_elementary.py` allows, in units in the last place (ulp).
"""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LN2_HIGH = 6.93147180369123816490e-01  # ln 2 to 32 bits, so that its product with an exponent is exact
LN2_LOW = 1.90821492927058770002e-10  # the rest
PI_2_HIGH = 1.57079632673412561417e00  # π/2 to 33 bits
PI_2_MIDDLE = 6.07710050630396597660e-11  # the next 33
PI_2_LOW = 2.02226624879595063154e-21  # the rest
SMALLEST, LARGEST = -708.0, 710.0  # exp is 0 below SMALLEST, so never denormal, and infinite above LARGEST
LOG2_E = 1.4426950408889634
BLOCK = 1 << 14  # numbers computed at a time: what is computed between stays in the processor's cache
MAX_RADIANS = 1e5  # up to here, whole quarter turns are subtracted without an error


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers in `text`."""
    return tuple(map(float, text.split()))


EXP = numbers("""
    1.66666666666666019037e-01 -2.77777777770155933842e-03 6.61375632143793436117e-05
    -1.65339022054652515390e-06 4.13813679705723846039e-08
""")
LOG = numbers("""
    6.666666666666735130e-01 3.999999999940941908e-01 2.857142874366239149e-01
    2.222219843214978396e-01 1.818357216161805012e-01 1.531383769920937332e-01
    1.479819860511658591e-01
""")
SIN = numbers("""
    -1.66666666666666324348e-01 8.33333333332248946124e-03 -1.98412698298579493134e-04
    2.75573137070700676789e-06 -2.50507602534068634195e-08 1.58969099521155010221e-10
""")
COS = numbers("""
    4.16666666666666019037e-02 -1.38888888888741095749e-03 2.48015872894767294178e-05
    -2.75573143513906633035e-07 2.08757232129817482790e-09 -1.13596475577881948265e-11
""")
# erf in four ranges of |x|, each by a fraction of two polynomials: numerator, denominator.
ERF_NEAR_0 = (
    numbers("""
        1.28379167095512558561e-01 -3.25042107247001499370e-01 -2.84817495755985104766e-02
        -5.77027029648944159157e-03 -2.37630166566501626084e-05
    """),
    numbers("""
        1.0 3.97917223959155352819e-01 6.50222499887672944485e-02
        5.08130628187576562776e-03 1.32494738004321644526e-04 -3.96022827877536812320e-06
    """),
)
ERF_NEAR_1 = (
    numbers("""
        -2.36211856075265944077e-03 4.14856118683748331666e-01 -3.72207876035701323847e-01
        3.18346619901161753674e-01 -1.10894694282396677476e-01 3.54783043256182359371e-02
        -2.16637559486879084300e-03
    """),
    numbers("""
        1.0 1.06420880400844228286e-01 5.40397917702171048937e-01
        7.18286544141962662868e-02 1.26171219808761642112e-01 1.36370839120290507362e-02
        1.19844998467991074170e-02
    """),
)
ERF_MIDDLE = (
    numbers("""
        -9.86494403484714822705e-03 -6.93858572707181764372e-01 -1.05586262253232909814e01
        -6.23753324503260060396e01 -1.62396669462573470355e02 -1.84605092906711035994e02
        -8.12874355063065934246e01 -9.81432934416914548592e00
    """),
    numbers("""
        1.0 1.96512716674392571292e01 1.37657754143519042600e02
        4.34565877475229228821e02 6.45387271733267880336e02 4.29008140027567833386e02
        1.08635005541779435134e02 6.57024977031928170135e00 -6.04244152148580987438e-02
    """),
)
ERF_FAR = (
    numbers("""
        -9.86494292470009928597e-03 -7.99283237680523006574e-01 -1.77579549177547519889e01
        -1.60636384855821916062e02 -6.37566443368389627722e02 -1.02509513161107724954e03
        -4.83519191608651397019e02
    """),
    numbers("""
        1.0 3.03380607434824582924e01 3.25792512996573918826e02
        1.53672958608443695994e03 3.19985821950859553908e03 2.55305040643316442583e03
        4.74528541206955367215e02 -2.24409524465858183362e01
    """),
)
ERF_OF_1 = 8.45062911510467529297e-01  # rounded to 24 bits; the fraction near 1 gives the difference


def in_blocks(function: Callable[[Array], Array]) -> Callable[[ArrayLike], Array]:
    """Have `function`, which works element by element, compute a large array block by block."""

    @wraps(function)
    def blocked(x: ArrayLike) -> Array:
        x = np.asarray(x, np.float64)
        if x.size <= BLOCK:
            return function(x)
        order: Literal["C", "F"] = "F" if x.flags.f_contiguous else "C"
        result = np.empty(x.shape, order=order)
        flat, flat_result = x.ravel(order), result.ravel(order)  # the latter is a view
        for start in range(0, x.size, BLOCK):
            flat_result[start : start + BLOCK] = function(flat[start : start + BLOCK])
        return result

    return blocked


@in_blocks
def exp(x: Array) -> Array:
    """Return eˣ; largest error 1 ulp."""
    power, s = _exponential(x)
    return np.where(x < SMALLEST, 0.0, _times_power_of_2(1 + s, power))


@in_blocks
def expm1(x: Array) -> Array:
    """Return eˣ − 1, also near 0; largest error 2 ulp."""
    power, s = _exponential(x)
    half = _times_power_of_2(np.full_like(s, 0.5), power)  # 2ᵖ itself may be infinite when eˣ is not
    with np.errstate(over="ignore"):
        return np.where(power == 0, s, 2 * (half * s + (half - 0.5)))


@in_blocks
def log(x: Array) -> Array:
    """Return the natural logarithm of `x`: −∞ for 0, NaN below; largest error 1 ulp."""
    mantissa, power = np.frexp(x)
    low = mantissa < math.sqrt(0.5)
    f = np.where(low, 2 * mantissa, mantissa) - 1  # x = 2ᵖᵒʷᵉʳ (1 + f) with √½ ≤ 1 + f < √2
    p = (power - low).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # for 0 and ∞, which the last line replaces
        s = f / (2 + f)
        half = 0.5 * f * f
        result = p * LN2_HIGH - ((half - (s * (half + s * s * _polynomial(s * s, LOG)) + p * LN2_LOW)) - f)
    return np.select([x == 0, x == np.inf, x > 0], [-np.inf, np.inf, result], np.nan)


@in_blocks
def log1p(x: Array) -> Array:
    """Return ln(1 + x), also near 0; largest error 2 ulp."""
    u = 1 + x
    with np.errstate(invalid="ignore", divide="ignore"):
        rounded_off = np.where(x < 1, x - (u - 1), 1 - (u - x)) / u
    return log(u) + np.where(np.isfinite(rounded_off), rounded_off, 0)


@in_blocks
def tanh(x: Array) -> Array:
    """Return tanh x, also near 0; largest error 3 ulp."""
    e = expm1(2 * np.minimum(np.abs(x), 22))  # tanh 22 rounds to 1
    return np.copysign(e / (e + 2), x)


@in_blocks
def erf(x: Array) -> Array:
    """Return the error function 2/√π ∫₀ˣ e^(−t²) dt; largest error 1 ulp."""
    size = np.minimum(np.abs(x), 6)  # erf 6 rounds to 1
    square = size * size
    inverse = 1 / np.maximum(square, 1)
    exponent = np.where(size < 1 / 0.35, _fraction(inverse, ERF_MIDDLE), _fraction(inverse, ERF_FAR))
    result = np.select(
        [size < 0.84375, size < 1.25, size >= 1.25],
        [
            size + size * _fraction(square, ERF_NEAR_0),
            ERF_OF_1 + _fraction(size - 1, ERF_NEAR_1),
            1 - exp(exponent - 0.5625 - square) / np.maximum(size, 1),
        ],
        np.nan,
    )
    return np.copysign(result, x)


def sin(x: ArrayLike) -> Array:
    """Return sin x for |x| ≤ 10⁵, else NaN; largest error 2 ulp for |x| ≤ 4, beyond that 3 · 10⁻¹⁶."""
    return _sine(np.asarray(x, np.float64), quarter_turns=0)


def cos(x: ArrayLike) -> Array:
    """Return cos x for |x| ≤ 10⁵, else NaN; largest error 2 ulp for |x| ≤ 4, beyond that 3 · 10⁻¹⁶."""
    return _sine(np.asarray(x, np.float64), quarter_turns=1)


def power(base: float, exponent: ArrayLike) -> Array:
    """Return `base` > 0 to the power of `exponent`, infinity if that is too large for a float.

    The relative error is at most 1.5 |ln result| + 1 ulp.
    """
    return exp(np.asarray(exponent) * log(base))


def whole_power(base: float, exponent: int) -> float:
    """Return `base` to the power of `exponent` ≥ 0, by repeated squaring."""
    result = 1.0
    while exponent:
        if exponent % 2:
            result *= base
        base *= base
        exponent //= 2
    return result


def standard_normal(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
    """Draw from N(0, 1), shape `shape`, by Marsaglia's polar method.

    NumPy's own generator compares with the system's exp and log1p, so a different libm could choose another
    number. G. Marsaglia, T. Bray, "A Convenient Method for Generating Normal Variables" (1964).
    """
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    numbers = np.empty(0)
    while len(numbers) < count:
        u = 2 * rng.random((2, (count - len(numbers)) // 2 + 8)) - 1
        square = u[0] * u[0] + u[1] * u[1]
        inside = (square > 0) & (square < 1)
        u, square = u[:, inside], square[inside]
        numbers = np.append(numbers, (u * np.sqrt(-2 * log(square) / square)).ravel())
    return numbers[:count].reshape(shape)


def _exponential(x: Array) -> tuple[Array, Array]:
    """Return p and s with eˣ = 2ᵖ (1 + s): p a whole number, s + 1 between about √½ and √2."""
    x = np.clip(x, SMALLEST, LARGEST)
    p = np.rint(x * LOG2_E)
    high, low = x - p * LN2_HIGH, p * LN2_LOW
    r = high - low
    c = r - r * r * _polynomial(r * r, EXP)
    return p, high - (low - r * c / (2 - c))


def _times_power_of_2(x: Array, p: Array) -> Array:
    """Return x · 2ᵖ, rounded once."""
    p = np.where(np.isnan(p), 0, p).astype(np.int32)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(x, p)


def _sine(x: Array, quarter_turns: int) -> Array:
    """Return sin(x + quarter_turns · π/2)."""
    x = np.where(np.abs(x) <= MAX_RADIANS, x, np.nan)
    turns = np.rint(x * (2 / math.pi))
    high = x - turns * PI_2_HIGH
    r = (high - turns * PI_2_MIDDLE) - turns * PI_2_LOW
    square = r * r
    sine = r + r * square * _polynomial(square, SIN)
    cosine = 1 - (0.5 * square - square * square * _polynomial(square, COS))
    quadrant = (np.where(np.isfinite(turns), turns, 0).astype(np.int64) + quarter_turns) % 4
    result = np.where(quadrant % 2, cosine, sine)
    return np.where(quadrant >= 2, -result, result)


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """Return c₀ + c₁x + c₂x² + … by Horner's rule."""
    result = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result *= x
        result += c
    return result


def _fraction(x: Array, polynomials: tuple[Sequence[float], Sequence[float]]) -> Array:
    numerator, denominator = polynomials
    return _polynomial(x, numerator) / _polynomial(x, denominator)
