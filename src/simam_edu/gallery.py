"""The old name of :mod:`simam_edu.wrong_simams`, kept for one version."""

import warnings

from simam_edu.wrong_simams import *  # noqa: F403

warnings.warn("simam_edu.gallery is now simam_edu.wrong_simams", DeprecationWarning, stacklevel=2)
