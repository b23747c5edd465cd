"""From crops to the scores of trials, and the Arrow object that keeps them.

A pair's score is the mean cosine over all pairs of crops of the two utterances (the paper's evaluation, as the paper
says it). The mean of all those cosines is exactly the dot product of the two mean unit vectors, so one vector an
utterance is enough.

Letters: N utterances, C crops of all of them, P trial pairs, D embedding.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = "tables/scores"
PAIRS_AT_ONCE = 4096  # bounds the memory of gathered vectors
SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),
        pa.field("left", pa.string(), nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("label", pa.bool_(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ],
    metadata={b"voxstudy.schema": b"1", b"voxstudy.table": b"scores"},
)


class Writes(Protocol):
    """The one thing that is needed of a run's store."""

    def write(self, path: str, data: bytes) -> None:
        """Write a whole object atomically."""
        ...


@dataclass(frozen=True)
class EvalCrops:
    """All crops of an evaluation: row of the corpus and start fraction of each, in a fixed order."""

    utterance_C: NDArray[np.int64]
    start_C: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.utterance_C)


def plan_crops(
    *, num_samples_N: Sequence[int], rows: NDArray[np.integer], crop_samples: int, num_crops: int
) -> EvalCrops:
    """`num_crops` evenly spaced crops of each of the `rows`; fewer where a short utterance would give one twice.

    An utterance shorter than the crop has a single one (it is repeated to fill it, always from its beginning).
    """
    fractions = np.linspace(0.0, 1.0, num_crops) if num_crops > 1 else np.array([0.5])
    utterances, starts = [], []
    for row in rows:
        # The sample at which `corpora.corpus.crop` will start.
        first_samples = (fractions * max(num_samples_N[row] - crop_samples, 0)).astype(np.int64)
        _, distinct = np.unique(first_samples, return_index=True)
        utterances.append(np.full(len(distinct), row, dtype=np.int64))
        starts.append(fractions[distinct])
    return EvalCrops(utterance_C=np.concatenate(utterances), start_C=np.concatenate(starts))


def mean_unit_vectors(*, embeddings: Iterable[Tensor], utterance_C: Tensor, num_utterances: int) -> Tensor:
    """The mean over an utterance's crops of its embeddings at length 1: (N, D), float64.

    The embeddings (C, D) come in consecutive pieces, so that those of a large test set need not be kept. Utterances
    without crops have zeros; an embedding of length zero counts as zero.
    """
    sums_ND = torch.zeros(0)
    first = 0
    for piece_BD in embeddings:
        unit_BD = torch.nn.functional.normalize(piece_BD.double(), dim=1)
        if first == 0:
            sums_ND = unit_BD.new_zeros(num_utterances, unit_BD.shape[1])
        sums_ND.index_add_(0, utterance_C[first : first + len(unit_BD)], unit_BD)
        first += len(unit_BD)
    assert first == len(utterance_C), f"{first} embeddings of {len(utterance_C)} crops"
    counts_N = torch.bincount(utterance_C, minlength=num_utterances).clamp(min=1)
    return sums_ND / counts_N.unsqueeze(1)


def score_pairs(*, vectors_ND: Tensor, left_P: Tensor, right_P: Tensor) -> NDArray[np.float32]:
    """Mean cosine of each pair, (P,); float32, as it is stored, so that stored scores give the same metrics."""
    chunks = zip(torch.split(left_P, PAIRS_AT_ONCE), torch.split(right_P, PAIRS_AT_ONCE), strict=True)
    parts = [(vectors_ND[left] * vectors_ND[right]).sum(dim=1).float() for left, right in chunks]
    scores: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return scores


def scores_table(
    *,
    split: str,
    utterances_N: Sequence[str],
    left_P: NDArray[np.int32],
    right_P: NDArray[np.int32],
    label_P: NDArray[np.bool_],
    score_P: NDArray[np.float32],
) -> pa.Table:
    """What was scored, a row a pair, by the utterances' names."""
    names = pa.array(utterances_N, pa.string())
    columns = {
        "split": pa.array([split] * len(score_P), pa.string()),
        "left": names.take(pa.array(left_P)),
        "right": names.take(pa.array(right_P)),
        "label": pa.array(label_P, pa.bool_()),
        "score": pa.array(score_P, pa.float32()),
    }
    return pa.table(columns, schema=SCHEMA)


def score_writer(store: Writes, *, trial_id: str, attempt: int) -> Callable[[pa.Table], str]:
    """A function that writes a trial's scores as one immutable object and returns its name in `tables/scores/`."""

    def write(table: pa.Table) -> str:
        name = f"{trial_id}-a{attempt:03d}.arrow"
        data = io.BytesIO()
        with pa.ipc.new_file(data, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        store.write(f"{FOLDER}/{name}", data.getvalue())
        return name

    return write
