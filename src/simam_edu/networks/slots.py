"""Where in a block the attention module stands."""

from typing import Literal, get_args

Slot = Literal["pre_norm", "post_norm"]
"""Where in a block the module stands, in the SimAM authors' place or in the one that they gave its rivals.

``"pre_norm"`` is right after the last 3x3 convolution and before the batch norm behind it: where the SimAM
authors put SimAM. ``"post_norm"`` is at the end of the block's branch, after its last layer and before the
addition: where they put SE and CBAM. Which layers these are depends on the block, and so does the number of
channels that the module sees there:

============================ ====================================== ========================================
block                        ``"pre_norm"``                         ``"post_norm"``
============================ ====================================== ========================================
:class:`.BasicBlock`         between conv2 and its norm             after the second norm
:class:`.BottleneckBlock`    between conv2 (3x3) and its norm       after the third norm, four times as wide
:class:`.PreBasicBlock`      after conv2                            the same place
:class:`.PreBottleneckBlock` between conv2 (3x3) and the next norm  after conv3, four times as wide
:class:`.WideBlock`          after conv2                            the same place
:class:`.InvertedResidual`   between conv2 (depthwise) and its norm after the third norm, the narrow output
============================ ====================================== ========================================

In :class:`.PreBasicBlock` and :class:`.WideBlock` the norms stand before the convolutions, so nothing but the
addition follows conv2 and the two places are one: both slots are taken and give the same network. Source: the
repository ZjjConan/SimAM, last commit of October 2022.
"""


def checked_slot(slot: Slot) -> Slot:
    """Return the slot.

    Raises:
        ValueError: If it is not one of :data:`.Slot`.
    """
    if slot not in get_args(Slot):
        raise ValueError(f"slot must be one of {', '.join(get_args(Slot))}, got {slot!r}")
    return slot
