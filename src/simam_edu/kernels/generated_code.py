"""The old name of :mod:`simam_edu.kernels.inspect`, kept for one version."""

from simam_edu._renamed import renamed
from simam_edu.kernels import inspect

_PUBLIC = ("Access", "GeneratedCode", "accesses", "generate", "thread_bytes")
__getattr__ = renamed(
    __name__, {name: (f"kernels.inspect.{name}", getattr(inspect, name)) for name in _PUBLIC}
)
