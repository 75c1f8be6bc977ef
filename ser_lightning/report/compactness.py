"""How tight the classes lie among the features z, against how far they lie apart."""

from collections.abc import Sequence

import numpy as np


def compactness(z: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> float:
    """Distance within classes over distance between them; the smaller, the tighter. NaN where a class is absent.

        within  = sqrt( mean_j  sum_{i in j} ||z_i - m_j||^2 / n_j )
        between = sqrt( mean_{j<k} ||m_j - m_k||^2 )

    as in `losses.diagnostics`, with the means m_j of the n_j features of each class; every class counts the same.

    Args:
        z: features [n, d].
        labels: names of their classes [n].
        classes: all names.

    >>> z = np.array([[0.0, 1.0], [0.0, 3.0], [4.0, 2.0]])
    >>> round(compactness(z, np.array(["a", "a", "b"]), ["a", "b"]), 4)
    0.1768
    """
    members = [z[labels == name] for name in classes]
    if len(members) < 2 or not all(map(len, members)):
        return np.nan
    means = np.stack([group.mean(axis=0) for group in members])
    spreads = [np.square(group - mean).sum(axis=1).mean() for group, mean in zip(members, means, strict=True)]
    # The mean square distance of pairs is twice the variance
    between = 2 * means.var(axis=0, ddof=1).sum()
    return float(np.sqrt(np.mean(spreads) / between))
