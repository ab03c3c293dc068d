"""How far two sets of embeddings of the same sentences agree.

Cosines compare each embedding with its counterpart. The neighbour figures ask what a search would notice: for every
sentence, all others are ranked by cosine similarity to it, once by each set, and the two lists are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minilm.weights import F32


@dataclass(frozen=True)
class Agreement:
    """Figures in which 1 is perfect agreement.

    `cosine_mean`, `cosine_min`: of each embedding with its counterpart. `spearman`: rank correlation of the two
    neighbour lists of a sentence, averaged over the sentences. `top1`: share of sentences whose nearest neighbour is
    the same. `top5`: share of the five nearest neighbours that both sets name, whatever their order.
    """

    cosine_mean: float
    cosine_min: float
    spearman: float
    top1: float
    top5: float


def compare(reference: F32, other: F32) -> Agreement:
    """Agreement of two sets of embeddings [sentences, width] whose rows have length 1; six sentences or more."""
    cosines = np.sum(reference.astype(np.float64) * other, axis=1)
    wanted, found = neighbours(reference), neighbours(other)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(wanted[:, :5], found[:, :5], strict=True)]
    return Agreement(
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        spearman=float(_rank_correlation(wanted, found).mean()),
        top1=float((wanted[:, 0] == found[:, 0]).mean()),
        top5=float(np.mean(shared) / 5),
    )


def neighbours(embeddings: F32) -> npt.NDArray[np.intp]:
    """For each of n sentences the n - 1 others [n, n - 1], the most similar first (the earlier one where equal)."""
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, 1:]


def _rank_correlation(wanted: npt.NDArray[np.intp], found: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Spearman's coefficient of each row of two lists of the same items, without ties: 1 - 6 sum d^2 / (n^3 - n)."""
    count = wanted.shape[1]
    ranks = np.argsort(found, axis=1)
    expected = np.argsort(wanted, axis=1)
    coefficient: npt.NDArray[np.float64] = 1 - 6 * np.square(ranks - expected).sum(axis=1) / (count**3 - count)
    return coefficient
