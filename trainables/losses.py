"""The angular prototypical loss and its two mixups (contrastive mixup paper, sections 3.1 to 3.3).

All three compare every query with every prototype in one matrix product, S x S logits, and stay in log-space. They
take float32 or float64, leave autocast for themselves, and are means over the speakers. A vector of zero length has
cosine 0 with everything and receives no gradient; a vector that is not finite makes the loss not a number. With several
workers, gather the rows first (`trainables.distributed.gather_rows`): a contrastive loss is not the sum of its shares.

The bias cancels in every softmax here, so its gradient is zero up to rounding; it is kept because the paper has it.

Shape suffixes: S speakers, U utterances a speaker, D embedding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def angular_prototypical_loss(*, embeddings_SUD: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """Equations 1 to 3: cross-entropy of each speaker's query against the prototypes of all speakers.

    The last utterance of a speaker is the query, the mean of the others (not normalised before the mean) the prototype.
    logit[j, k] = scale * cos(query j, prototype k) + bias. Returns a scalar, log(S) when nothing is told apart.

    Raises ValueError unless `embeddings_SUD` is (S, U, D) with at least two utterances a speaker, float32 or float64.
    """
    if embeddings_SUD.ndim != 3 or embeddings_SUD.shape[0] < 1 or embeddings_SUD.shape[1] < 2:
        raise ValueError(
            "embeddings_SUD must be (speakers, utterances, embedding) with at least 1 speaker and 2 utterances "
            f"a speaker (the last is the query), but got shape {tuple(embeddings_SUD.shape)}."
        )
    _require_float("embeddings_SUD", embeddings_SUD)
    log_p_SS = _log_probabilities(embeddings_SUD[:, -1], embeddings_SUD[:, :-1].mean(dim=1), scale, bias)
    return -log_p_SS.diagonal().mean()


def contrastive_mixup_loss(
    *,
    queries_SD: Tensor,
    prototypes_SD: Tensor,
    partner_S: Tensor,
    ratio: float,
    scale: Tensor | float,
    bias: Tensor | float,
) -> Tensor:
    """Equations 7 and 8: -log of the labelled share of the softmax, with `ratio` on the own speaker.

    Query j is the embedding of a mixture, `ratio` of speaker j and 1 - `ratio` of speaker `partner_S[j]`; the
    prototypes are of unmixed utterances. The labels d[j, j] = ratio and d[j, partner] = 1 - ratio ADD UP, so a speaker
    who is his own partner has d[j, j] = 1. Ratio 1, or every speaker his own partner, gives equation 3. Never above
    `ce_mixup_loss` (the logarithm is concave), equal to it for ratio 0 or 1.

    Raises ValueError for shapes that do not fit, a partner outside [0, S) or a ratio outside [0, 1].
    """
    own_S, partners_S = _own_and_partner(queries_SD, prototypes_SD, partner_S, ratio, scale, bias)
    if ratio == 0.0 or ratio == 1.0:
        # One label is zero, and log(0) must not enter: its term is left out of the sum.
        return -(own_S if ratio == 1.0 else partners_S).mean()
    return -torch.logaddexp(own_S + math.log(ratio), partners_S + math.log1p(-ratio)).mean()


def ce_mixup_loss(
    *,
    queries_SD: Tensor,
    prototypes_SD: Tensor,
    partner_S: Tensor,
    ratio: float,
    scale: Tensor | float,
    bias: Tensor | float,
) -> Tensor:
    """Equation 6, "CE mixup": the cross-entropies to the own speaker and to the partner, weighted ratio : 1 - ratio.

    Arguments and errors as in `contrastive_mixup_loss`. A speaker who is his own partner has weight 1 on himself.
    """
    own_S, partners_S = _own_and_partner(queries_SD, prototypes_SD, partner_S, ratio, scale, bias)
    return -(ratio * own_S + (1.0 - ratio) * partners_S).mean()


def _own_and_partner(
    queries_SD: Tensor,
    prototypes_SD: Tensor,
    partner_S: Tensor,
    ratio: float,
    scale: Tensor | float,
    bias: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the own speaker and of the partner, (S,) each."""
    if queries_SD.ndim != 2 or queries_SD.shape[0] < 1 or queries_SD.shape != prototypes_SD.shape:
        raise ValueError(
            "queries_SD and prototypes_SD must both be (speakers, embedding), of one shape with at least 1 speaker, "
            f"but got {tuple(queries_SD.shape)} and {tuple(prototypes_SD.shape)}."
        )
    _require_float("queries_SD", queries_SD)
    if prototypes_SD.dtype != queries_SD.dtype:
        raise ValueError(
            f"queries_SD and prototypes_SD must have one dtype, but got {queries_SD.dtype} and {prototypes_SD.dtype}."
        )
    speakers = queries_SD.shape[0]
    if partner_S.shape != (speakers,) or partner_S.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"partner_S must be one integer a speaker, shape ({speakers},), "
            f"but got shape {tuple(partner_S.shape)} of {partner_S.dtype}."
        )
    lowest, highest = int(partner_S.min()), int(partner_S.max())
    if lowest < 0 or highest >= speakers:
        raise ValueError(
            f"0 <= partner < {speakers} (the number of speakers) must hold, "
            f"but partner_S goes from {lowest} to {highest}."
        )
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"0 <= ratio <= 1 must hold, but got ratio={ratio}.")
    log_p_SS = _log_probabilities(queries_SD, prototypes_SD, scale, bias)
    columns_S1 = partner_S.to(device=log_p_SS.device, dtype=torch.int64).unsqueeze(1)
    return log_p_SS.diagonal(), log_p_SS.gather(1, columns_S1).squeeze(1)


def _log_probabilities(
    queries_SD: Tensor, prototypes_SD: Tensor, scale: Tensor | float, bias: Tensor | float
) -> Tensor:
    """Equation 2 and the log-softmax over the prototypes: (S, S), row j for query j."""
    with torch.autocast(queries_SD.device.type, enabled=False):
        cosines_SS = _unit(queries_SD) @ _unit(prototypes_SD).T
        return F.log_softmax(scale * cosines_SS + bias, dim=1)


def _unit(x_SD: Tensor) -> Tensor:
    """The rows at length 1. A row whose squared length underflows becomes zero, with zero gradient instead of 0 / 0."""
    length_S1 = torch.linalg.vector_norm(x_SD, dim=1, keepdim=True)
    # Asked this way round, because a length that is not a number must stay one: the loss has to show it.
    is_zero_S1 = length_S1 <= math.sqrt(torch.finfo(x_SD.dtype).tiny)
    # Both branches of the last `where` must be finite: the unused one has its gradient multiplied by zero.
    return torch.where(is_zero_S1, 0.0, x_SD / torch.where(is_zero_S1, 1.0, length_S1))


def _require_float(name: str, x: Tensor) -> None:
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} must be float32 or float64, but got {x.dtype}.")
