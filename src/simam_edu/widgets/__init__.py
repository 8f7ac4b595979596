"""Figures that the reader moves: JavaScript inside the page, no other host."""

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Widget:
    """A piece of HTML that a notebook shows, and a text for where none can be shown."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def energy_widget(
    values: Float[np.ndarray, "m"], *, lam: float = 1e-4, value_range: tuple[float, float] = (-4.0, 6.0)
) -> Widget:
    r"""Return a channel whose neurons can be dragged along their gain curve.

    The curve is :math:`\operatorname{sigmoid}(1/e^*)`, Eqs. (5) and (6), with the mean
    and the :math:`1/(M-1)` variance of the values at that moment. The widget is
    complete in itself, for mouse, touch and keyboard. It starts with two ``values`` or
    more inside ``value_range``, the ends of its axis, and a penalty ``lam`` in [1e-6,
    10], the paper's when left out; a ``ValueError`` names what is not.

    >>> energy_widget(np.array([0.0, 1.0, 4.0]))
    A figure to drag: it needs a page that shows HTML.
    """
    low, high = value_range
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.all((low <= values) & (values <= high)):
        raise ValueError(
            f"values must be two or more numbers in [{low}, {high}], got {values}; change value_range"
        )
    if not 1e-6 <= lam <= 10:
        raise ValueError(f"lam must be in [1e-6, 10], the ends of the slider, got {lam}")
    script = files("simam_edu.widgets").joinpath("energy.js").read_text(encoding="utf-8")
    html = _TEMPLATE.format(
        values=escape(json.dumps(values.tolist())),
        range=escape(json.dumps([low, high])),
        exponent=float(np.log10(lam)),
        script=script,
    )
    return Widget(html=html, text="A figure to drag: it needs a page that shows HTML.")


# The script finds the box it stands in, so the same widget can stand on a page twice.
_TEMPLATE = """\
<div class="energy-widget" data-values="{values}" data-range="{range}"
     style="background: #fff; color: #222; padding: 0.75rem; border-radius: 0.4rem; max-width: 44rem">
  <svg viewBox="0 0 640 300" role="group" aria-label="Neurons of one channel on their gain curve"
       style="width: 100%; height: auto; display: block"></svg>
  <label style="display: block">penalty &lambda; = <span data-lam></span>
    <input type="range" min="-6" max="1" step="0.1" value="{exponent}" aria-label="penalty lambda, logarithm
    to base ten"
           style="width: 60%; vertical-align: middle"></label>
  <output aria-live="polite" style="display: block; min-height: 3em; margin-top: 0.4rem"></output>
  <script>
  (() => {{
    const root = document.currentScript.parentElement;
    {script}
    energyWidget(root);
  }})();
  </script>
</div>
"""
