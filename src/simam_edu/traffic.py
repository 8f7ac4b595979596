"""What torch's operations move between memory and processor, counted as they run.

Apart from :mod:`simam_edu.benchmark`, because a dispatch mode imports torch's compiler, which takes seconds.
"""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Traffic(TorchDispatchMode):
    """Counts the bytes that torch's operations read and write while it is active.

    Each tensor among the arguments of an operation is read once, each among its results is written once. It
    counts with the memory that it covers. Views move nothing. Caches are not known to it, and where a card
    starts several kernels for one operation, it sees one.

    Attributes:
        operations: How many operations have run that are no views.
        reads: Bytes read.
        writes: Bytes written.

    Example:
        >>> import torch
        >>> from simam_edu.traffic import Traffic
        >>> x = torch.zeros(1, 256)
        >>> with Traffic() as traffic:
        ...     y = x.expand(8, 256) + 1.0
        >>> traffic.operations, traffic.reads, traffic.writes
        (1, 1024, 8192)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations, self.reads, self.writes = 0, 0, 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and add what it moves."""
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.operations += 1
            self.reads += _covered((args, kwargs))
            self.writes += _covered(result)
        return result


def _covered(tree: Any) -> int:
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)
