"""A figure that the reader of a notebook moves: JavaScript inside the page, no other host."""

import json
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float


def energy_widget(
    values: Float[np.ndarray, "m"],
    *,
    lam: float = 1e-4,
    value_range: tuple[float, float] = (-4.0, 6.0),
) -> Any:
    r"""Return a channel whose neurons can be dragged along their gain curve, as HTML.

    The curve is :math:`\operatorname{sigmoid}(1/e^*)`, Eqs. (5) and (6), with the mean and
    the :math:`1/(M-1)` variance of the values at that moment. It starts with two ``values``
    or more inside ``value_range``, the ends of its axis, and a penalty ``lam`` in [1e-6, 10],
    the paper's when left out; a ``ValueError`` names what is not.

    >>> energy_widget(np.array([0.0, 1.0, 4.0]))
    <IPython.core.display.HTML object>
    """
    from IPython.display import HTML  # there is one wherever there is a notebook

    low, high = value_range
    if len(values) < 2 or not np.all((low <= values) & (values <= high)):
        raise ValueError(
            f"values must be two or more numbers in [{low}, {high}], got {values}; change value_range"
        )
    if not 1e-6 <= lam <= 10:
        raise ValueError(f"lam must be in [1e-6, 10], the ends of the slider, got {lam}")
    script = files("simam_edu.widgets").joinpath("energy.js").read_text(encoding="utf-8")
    start = {"values": values.tolist(), "low": low, "high": high}
    html = _TEMPLATE.format(start=escape(json.dumps(start)), exponent=np.log10(lam), script=script)
    return HTML(html)  # type: ignore[no-untyped-call]


# The script finds the box it stands in, so the same widget can stand on a page twice.
_TEMPLATE = """\
<div data-energy="{start}" style="background: #fff; color: #222; padding: 0.75rem; max-width: 44rem">
  <svg viewBox="0 0 640 300" role="group" aria-label="Neurons of one channel on their gain curve"
       style="width: 100%; height: auto; display: block"></svg>
  <label>penalty &lambda; <input type="range" min="-6" max="1" step="any" value="{exponent}"
    aria-label="penalty lambda, logarithm to base ten" style="width: 60%"></label>
  <output aria-live="polite" style="display: block; min-height: 3em"></output>
  <script>
  (() => {{
    const root = document.currentScript.parentElement;
    {script}
    energyWidget(root);
  }})();
  </script>
</div>
"""
