"""A trained net at work: from utterances to one vector each, and from the vectors of two to their score.

An utterance's vector is the mean of the unit vectors of its crops, so that the dot product of two vectors is the mean
cosine over all pairs of crops: the score of the paper's evaluation (see `trainables.scores`). Trials and whoever uses
an exported net embed here alike, so that they get the same numbers.

Letters: N utterances, C crops of all of them, P trial pairs, D embedding, B batch, T samples.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables.corpora.corpus import AudioCache, crop
from trainables.corpora.trial_pairs import TrialPairs
from trainables.distributed import all_sum
from trainables.scores import EvalCrops, mean_unit_vectors, plan_crops, score_pairs
from trainables.verifier import Verifier

# Fixed: then a crop's embedding depends neither on the number of workers nor on what else is evaluated.
CROPS_AT_ONCE = 32
# Bounds the memory of embeddings; a multiple of CROPS_AT_ONCE.
CROPS_GATHERED = 8192


def build_net(config: ContrastiveMixup) -> Verifier:
    """The module of a config, its weights drawn from torch's stream of random numbers as it is."""
    return Verifier(
        loss=config.loss,
        mixup_level=config.mixup_level,
        volume=config.volume,
        mels=config.mels,
        width=config.width,
        embedding_size=config.embedding_size,
        precision=config.precision,
        pooling=config.pooling,
        negatives=config.negatives,
    )


def samples_of(seconds: float, config: ContrastiveMixup) -> int:
    """How many samples a length of time has at the config's rate."""
    return round(seconds * config.sample_rate)


def plan_pairs(config: ContrastiveMixup, audio: AudioCache, pairs: TrialPairs) -> EvalCrops:
    """The crops of all utterances that are compared, in the order of their rows."""
    return plan_crops(
        num_samples_N=audio.corpus.table["num_samples"].to_pylist(),
        rows=np.unique(np.concatenate([pairs.left, pairs.right])),
        crop_samples=samples_of(config.eval_crop_s, config),
        num_crops=config.eval_crops,
    )


def score_trials(
    module: Verifier,
    *,
    config: ContrastiveMixup,
    audio: AudioCache,
    pairs: TrialPairs,
    crops: EvalCrops,
    device: torch.device,
    rank: int = 0,
    size: int = 1,
) -> NDArray[np.float32]:
    """The score of each pair, (P,), the same on every worker; `crops` are those of `plan_pairs`.

    Scores are NaN where an embedding is not finite. The module is left in the mode (training or not) that it was in.
    """
    was_training = module.training
    module.eval()
    with torch.no_grad():
        vectors_ND = mean_unit_vectors(
            embeddings=embedded_crops(
                module, config=config, audio=audio, crops=crops, device=device, rank=rank, size=size
            ),
            utterance_C=torch.from_numpy(crops.utterance_C).to(device),
            num_utterances=len(audio.corpus),
        )
    module.train(was_training)
    left_P, right_P = (torch.from_numpy(rows).long().to(device) for rows in (pairs.left, pairs.right))
    return score_pairs(vectors_ND=vectors_ND, left_P=left_P, right_P=right_P)


def embedded_crops(
    module: Verifier,
    *,
    config: ContrastiveMixup,
    audio: AudioCache,
    crops: EvalCrops,
    device: torch.device,
    rank: int,
    size: int,
) -> Iterator[Tensor]:
    """The embeddings of all crops, (*, D), piece by piece, the same on every worker."""
    num_samples = samples_of(config.eval_crop_s, config)
    for first in range(0, len(crops), CROPS_GATHERED):
        after = min(first + CROPS_GATHERED, len(crops))
        embeddings_BD = torch.zeros(after - first, config.embedding_size, device=device, dtype=module.scale.dtype)
        # Whole chunks are shared over the workers: each is embedded in the same company whatever their number.
        for start in range(first, after, CROPS_AT_ONCE)[rank::size]:
            rows = slice(start, min(start + CROPS_AT_ONCE, after))
            samples_BT = read_crops(audio, crops.utterance_C[rows], crops.start_C[rows], num_samples)
            embeddings_BD[start - first : rows.stop - first] = module.embed(on_device(samples_BT, device))
        yield all_sum(embeddings_BD)


def embed_waveforms(
    module: Verifier, *, config: ContrastiveMixup, waveforms: list[NDArray[np.int16]], device: torch.device
) -> NDArray[np.float32]:
    """The vectors of a few whole utterances, int16 (T,) each: float32 (N, D); the module is in evaluation mode."""
    num_samples = samples_of(config.eval_crop_s, config)
    crops = plan_crops(
        num_samples_N=[len(waveform) for waveform in waveforms],
        rows=np.arange(len(waveforms)),
        crop_samples=num_samples,
        num_crops=config.eval_crops,
    )

    def embeddings() -> Iterator[Tensor]:
        for first in range(0, len(crops), CROPS_AT_ONCE):
            rows = slice(first, first + CROPS_AT_ONCE)
            heard = [
                crop(waveforms[utterance], start, num_samples)
                for utterance, start in zip(crops.utterance_C[rows], crops.start_C[rows], strict=True)
            ]
            yield module.embed(on_device(torch.from_numpy(np.stack(heard)), device))

    with torch.no_grad():
        vectors_ND = mean_unit_vectors(
            embeddings=embeddings(),
            utterance_C=torch.from_numpy(crops.utterance_C).to(device),
            num_utterances=len(waveforms),
        )
    found: NDArray[np.float32] = vectors_ND.float().cpu().numpy()
    return found


def read_crops(audio: AudioCache, rows: NDArray[np.int64], starts: NDArray[np.float64], num_samples: int) -> Tensor:
    """Crops, int16 (*, T), for rows of the corpus and start fractions of shape (*)."""
    crops = [
        crop(audio.waveform(int(row)), float(start), num_samples)
        for row, start in zip(rows.flat, starts.flat, strict=True)
    ]
    return torch.from_numpy(np.stack(crops)).view(*rows.shape, num_samples)


def on_device(x: Tensor, device: torch.device) -> Tensor:
    """A copy that a GPU makes while the CPU goes on reading, which needs pinned memory."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)
