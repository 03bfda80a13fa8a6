"""The explanationConfig of a Version: which method says what a prediction rests on."""

from __future__ import annotations

from typing import Any

from mlengine.web.fields import Fields

# Method -> its number, and the most of it.
_METHODS = {
    "sampledShapleyAttribution": ("numPaths", 10_000),
    "integratedGradientsAttribution": ("numIntegralSteps", 10_000),
}
_USUAL = 50


def explanation(fields: Fields) -> dict[str, Any]:
    """explanationConfig in full; empty without.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    config = fields.inner("explanationConfig")
    if config is None:
        return {}
    config.absent(
        "xraiAttribution",
        hint="Pictures are not explained by regions here. Take integratedGradientsAttribution or "
        "sampledShapleyAttribution.",
    )
    found: dict[str, Any] = {}
    for name, (number, most) in _METHODS.items():
        method = config.inner(name)
        if method is None:
            continue
        value = method.number(number, _USUAL)
        method.done()
        if not 1 <= value <= most:
            raise method.wrong(number, f"is {value}; it must be 1 to {most}.")
        found[name] = {number: value}
    config.done()
    if len(found) != 1:
        how_many = "several methods" if found else "no method"
        raise fields.wrong(
            "explanationConfig", f"names {how_many}; it must name one.", hint=f"Known: {', '.join(_METHODS)}."
        )
    return found
