"""The AP loss: one matrix product against the form that repeats both sides to speakers x embedding x speakers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.memory import peak_bytes
from benchmarks.side_by_side import Comparison, compare
from trainables.losses import angular_prototypical_loss

EMBEDDING = 512


def repeated_form(*, embeddings_SUD: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Equation 3 as the reference codes compute it: every pair's vectors are written out before the cosine."""
    speakers = len(embeddings_SUD)
    queries = embeddings_SUD[:, -1].unsqueeze(-1).expand(-1, -1, speakers)
    prototypes = embeddings_SUD[:, :-1].mean(1).unsqueeze(-1).expand(-1, -1, speakers).transpose(0, 2)
    logits = scale * F.cosine_similarity(queries, prototypes, dim=1) + bias
    return F.cross_entropy(logits, torch.arange(speakers))


def comparisons(quick: bool) -> Iterator[Comparison | str]:
    """Forward and backward for a small and for the paper's number of speakers, and what memory the larger takes."""
    for speakers in (32, 100) if quick else (32, 400):
        embeddings = torch.randn(speakers, 2, EMBEDDING, requires_grad=True)
        scale, bias = torch.tensor(10.0, requires_grad=True), torch.tensor(-5.0, requires_grad=True)
        arguments = {"embeddings_SUD": embeddings, "scale": scale, "bias": bias}
        torch.testing.assert_close(angular_prototypical_loss(**arguments), repeated_form(**arguments))
        yield compare(
            f"AP loss, {speakers} speakers, forward and backward",
            ours=("matrix product", partial(_step, angular_prototypical_loss, arguments)),
            theirs=("speakers x embedding x speakers", partial(_step, repeated_form, arguments)),
            rounds=3,
            wanted=100 if speakers == 400 else None,
        )
    peaks = [
        peak_bytes(partial(_step, loss, arguments)) / (1 << 20) for loss in (angular_prototypical_loss, repeated_form)
    ]
    yield (
        f"AP loss, {speakers} speakers, memory at its peak: matrix product {peaks[0]:.0f} MiB (wanted: under 64), "
        f"speakers x embedding x speakers {peaks[1]:.0f} MiB"
    )


def _step(loss, arguments) -> None:  # type: ignore[no-untyped-def]
    loss(**arguments).backward()
