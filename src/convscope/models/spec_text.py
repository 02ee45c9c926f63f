"""A network's spec in words short enough for a list: counts with a unit, papers, what to know."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from convscope.models.spec import SMALL_SIDE, ModelSpec

UNITS = ("", " k", " M", " G", " T")
# "He et al.", "Krizhevsky, Sutskever & Hinton", else all up to the first comma.
AUTHORS = re.compile(r"[^,]+ et al\.|(?:[^\s,]+, )*[^\s,]+ & [^\s,]+|[^,]+")


def format_shape(shape: Sequence[int]) -> str:
    """A shape as people write it.

    >>> format_shape((3, 32, 32))
    '3×32×32'
    """
    return "×".join(str(n) for n in shape)


def short_count(count: float | None) -> str:
    """A count of 0 or more with three significant digits and its unit (k, M, G, T); – where nobody counted.

    >>> short_count(416_520), short_count(7_609_090_048), short_count(999_999), short_count(None)
    ('417 k', '7.61 G', '1.00 M', '–')
    """
    if count is None:
        return "–"
    if count < 1000:
        return f"{count:.0f}"
    # Rounded before the unit is chosen: 999,999 is 1.00 M and not 1000 k.
    mantissa, _, exponent = f"{count:.2e}".partition("e")
    unit = min(int(exponent) // 3, len(UNITS) - 1)
    shift = int(exponent) - 3 * unit
    return f"{float(mantissa) * 10**shift:.{max(0, 2 - shift)}f}{UNITS[unit]}"


def short_paper(spec: ModelSpec) -> str:
    """Who published the idea of a network, and when; empty where nobody did.

    >>> short_paper(ModelSpec("vgg11", paper="Simonyan & Zisserman, Very Deep Networks, 2014", year=2014))
    'Simonyan & Zisserman 2014'
    """
    authors = AUTHORS.match(spec.paper)
    return " ".join(str(part) for part in (authors and authors[0], spec.year) if part)


def facts(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    """What is known of a network beside its layers, as (heading, text); headings without a text are left out.

    >>> spec = ModelSpec("tiny", parameters=60, published_parameters=61e3, published_in="table 1")
    >>> dict(facts(spec))["published"]
    '61 k parameters (table 1)'
    """
    known = {
        "idea": spec.idea,
        "paper": spec.paper,
        "designed for": _designed(spec),
        "published": _published(spec),
        "deviations": spec.deviations,
        "small form": spec.small_form and f"up to {SMALL_SIDE} px: {spec.small_form}",
        "default options": ", ".join(f"{name}={_option(value)}" for name, value in spec.options.items()),
    }
    # A network of one's own has none of this, and a list of empty headings says nothing.
    return ((heading, text) for heading, text in known.items() if text)


def _designed(spec: ModelSpec) -> str:
    counts = [
        f"{spec.parameters:,} parameters" if spec.parameters else "",
        f"{short_count(spec.macs)} MACs" if spec.macs else "",
        f"the last map sees {spec.receptive_field} px" if spec.receptive_field else "",
    ]
    form = f"{format_shape(spec.input_shape)} images, {spec.classes:,} classes"
    return ": ".join(part for part in (form, ", ".join(filter(None, counts))) if part)


def _published(spec: ModelSpec) -> str:
    counts = [
        f"{_as_given(count)} {what}"
        for count, what in ((spec.published_parameters, "parameters"), (spec.published_macs, "MACs"))
        if count
    ]
    source = f" ({spec.published_in})" if spec.published_in else ""
    return ", ".join(counts) + source if counts else ""


def _as_given(count: float) -> str:
    """A rounded figure with the digits that its paper gave and no zeros behind them; an exact one whole."""
    unit = min(int(math.log10(count)) // 3, len(UNITS) - 1)
    digits = f"{count / 1000**unit:.10g}"
    return f"{digits}{UNITS[unit]}" if len(digits) <= 6 else f"{count:,.0f}"


def _option(value: object) -> str:
    """An option as `--set` takes it."""
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
