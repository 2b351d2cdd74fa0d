"""Numbers as the report writes them: a true minus sign, a fixed count of digits, a unit."""

from __future__ import annotations

MINUS = "\u2212"


def fraction(value: float) -> str:
    """A value between 0 and 1 with three digits.

    >>> fraction(0.20349), fraction(-0.5)
    ('0.203', '−0.500')
    """
    if value != value:  # NaN
        return "unknown"
    return f"{value:.3f}".replace("-", MINUS)


def change(value: float) -> str:
    """A difference with its sign.

    >>> change(0.0312), change(-0.01), change(-0.0001)
    ('+0.031', '−0.010', '0.000')
    """
    written = f"{value:+.3f}"
    return written[1:] if written[1:] == "0.000" else written.replace("-", MINUS)


def interval(low: float, high: float, *, signed: bool = False) -> str:
    """Both ends of an interval.

    >>> interval(0.1, 0.25), interval(-0.1, 0.25, signed=True)
    ('0.100 – 0.250', '−0.100 … +0.250')
    """
    return f"{change(low)} … {change(high)}" if signed else f"{fraction(low)} – {fraction(high)}"


def probability(value: float) -> str:
    """A p value; small ones as a bound.

    >>> probability(0.0123), probability(0.00001)
    ('0.012', '<0.001')
    """
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: int) -> str:
    """A whole number with thin spaces between thousands.

    >>> count(1234567)
    '1\u202f234\u202f567'
    """
    return f"{value:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """A time in the unit that reads best.

    >>> duration(0.00042), duration(0.0234), duration(1.5), duration(150)
    ('0.42 ms', '23 ms', '1.50 s', '2.5 min')
    """
    if seconds < 0.9995:
        digits = 2 if seconds < 0.000995 else 1 if seconds < 0.00995 else 0
        return f"{seconds * 1000:.{digits}f} ms"
    return f"{seconds:.2f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
