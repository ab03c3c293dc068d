"""Colours of cells: light enough for dark letters, distinct between neighbours, and alike on light and dark pages.

They are taken in OKLCH (Björn Ottosson, "A perceptual color space for image processing", 2020), where equal lightness
looks equally light whatever the hue.
"""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin

HUES = 8
SHADES = 4
FIRST_HUE = 20


def lane_colour(lane: int) -> str:
    """Four neighbouring lanes share a hue and differ in lightness: quads, which matrix instructions are made of."""
    return shade(lane // SHADES % HUES, lane % SHADES)


def cyclic_colour(n: int) -> str:
    """Neighbours differ in hue; after a round of hues comes another lightness."""
    return shade(n * 3 % HUES, n // HUES % 3)


def ramp_colour(fraction: float) -> str:
    """From warm and light to cool and darker, for 0 to 1: the order of places."""
    return oklch(0.93 - 0.20 * fraction, 0.075 + 0.04 * fraction, 95 + 170 * fraction)


def shade(hue: int, step: int) -> str:
    """One of HUES hues in one of SHADES lightnesses, the lightest first."""
    return oklch(0.91 - 0.06 * step, 0.065 + 0.018 * step, FIRST_HUE + 360 * hue / HUES)


@cache
def oklch(lightness: float, chroma: float, hue: float) -> str:
    """A colour of OKLCH, its hue in degrees, as #rrggbb; what sRGB lacks is clipped."""
    a, b = chroma * cos(hue * pi / 180), chroma * sin(hue * pi / 180)
    l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3  # noqa: E741
    m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    )
    return "#" + "".join(f"{gamma(channel):02x}" for channel in linear)


def gamma(channel: float) -> int:
    """A linear channel as a byte of sRGB (IEC 61966-2-1)."""
    channel = min(max(channel, 0.0), 1.0)
    curved = 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
    return round(255 * curved)
