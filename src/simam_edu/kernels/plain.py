"""The old name of :mod:`simam_edu.kernels.reference`, kept for one version."""

from simam_edu._renamed import renamed
from simam_edu.kernels import reference

_NAMES = {name: (f"kernels.reference.{name}", getattr(reference, name)) for name in ("simam", "gradient")}
__getattr__ = renamed(__name__, _NAMES)
