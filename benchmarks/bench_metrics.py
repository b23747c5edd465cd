"""Scoring and error rates: matrix forms and one sort against loops over trials and thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.side_by_side import Comparison, compare
from trainables.metrics import equal_error_rate, minimum_detection_cost
from trainables.scores import mean_unit_vectors, score_pairs

CROPS, EMBEDDING = 10, 512


def score_by_means(embeddings_CD: Tensor, utterance_C: Tensor, left_P: Tensor, right_P: Tensor) -> Tensor:
    """The mean of all crop pairs' cosines is the dot product of the mean unit vectors: the project's way."""
    utterances = len(embeddings_CD) // CROPS
    vectors_ND = mean_unit_vectors(embeddings=[embeddings_CD], utterance_C=utterance_C, num_utterances=utterances)
    return torch.from_numpy(score_pairs(vectors_ND=vectors_ND, left_P=left_P, right_P=right_P))


def score_by_cosines(embeddings_NCD: Tensor, left_P: Tensor, right_P: Tensor) -> Tensor:
    """Trial by trial, the cosines of all pairs of crops, and their mean."""
    unit_NCD = F.normalize(embeddings_NCD, dim=2)
    pairs = zip(left_P.tolist(), right_P.tolist(), strict=True)
    return torch.stack([(unit_NCD[left] @ unit_NCD[right].T).mean() for left, right in pairs])


def score_by_distances(embeddings_NCD: Tensor, left_P: Tensor, right_P: Tensor) -> Tensor:
    """Trial by trial, the Euclidean distances of all pairs of normalised crops, as the paper's baseline code scores."""
    scores = []
    for left, right in zip(left_P.tolist(), right_P.tolist(), strict=True):
        one, other = F.normalize(embeddings_NCD[left], dim=1), F.normalize(embeddings_NCD[right], dim=1)
        scores.append(-F.pairwise_distance(one.unsqueeze(2), other.unsqueeze(2).transpose(0, 2)).mean())
    return torch.stack(scores)


def rates(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Equal error rate and minDCF, as a trial scores."""
    return (
        equal_error_rate(scores=scores, labels=labels),
        minimum_detection_cost(scores=scores, labels=labels),
    )


def rates_by_loop(scores: list[float], labels: list[bool]) -> tuple[float, float]:
    """Python's sort, then a walk over the trials, counting."""
    targets = sum(labels)
    impostors = len(labels) - targets
    misses, alarms, cost, eer = targets, 0, 1.0, None
    for _, label in sorted(zip(scores, labels, strict=True), reverse=True):
        if label:
            misses -= 1
        else:
            alarms += 1
        miss, alarm = misses / targets, alarms / impostors
        cost = min(cost, (0.05 * miss + 0.95 * alarm) / 0.05)
        if eer is None and miss <= alarm:
            eer = (miss + alarm) / 2
    assert eer is not None
    return eer, cost


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Scoring of 10 crops an utterance; the error rates of a million trials."""
    utterances, trials = (100, 300) if quick else (500, 2_000)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(utterances, CROPS, EMBEDDING, generator=generator)
    left, right = torch.randint(utterances, (2, trials), generator=generator)
    rows, utterance = embeddings.flatten(0, 1), torch.arange(utterances).repeat_interleave(CROPS)
    torch.testing.assert_close(
        score_by_means(rows, utterance, left, right), score_by_cosines(embeddings, left, right), rtol=0, atol=1e-6
    )
    for name, loop, wanted in (("distances", score_by_distances, 30), ("cosines", score_by_cosines, None)):
        yield compare(
            f"scoring of {trials} trials, {CROPS} crops an utterance",
            ours=("mean unit vectors", partial(score_by_means, rows, utterance, left, right)),
            theirs=(f"loop over trials, {name} of all pairs", partial(loop, embeddings, left, right)),
            wanted=wanted,
        )
    count = 50_000 if quick else 1_000_000
    drawn = np.random.default_rng(0)
    labels = drawn.random(count) < 0.5
    scores = drawn.normal(size=count) + 2 * labels
    score_list, label_list = scores.tolist(), labels.tolist()
    np.testing.assert_allclose(rates(scores, labels), rates_by_loop(score_list, label_list), atol=1e-4)
    yield compare(
        f"EER and minDCF of {count} trials (wanted: EER under 1 s)",
        ours=("sorted once for each", partial(rates, scores, labels)),
        theirs=("sort and loop", partial(rates_by_loop, score_list, label_list)),
        rounds=3,
    )
