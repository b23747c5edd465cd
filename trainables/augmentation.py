"""Augmentation of training crops by the recipe of voxceleb_trainer: nothing, a room, music, babble or noise.

One of the five, each as likely. A room's response has norm 1 and its convolution is cut to the crop's length; music is
5-15 dB below the crop, noise 0-15 dB; babble are 3 to 7 recordings of speech, each 13-20 dB below. Levels are mean
powers over the crop; the trainer adds 1e-4 to each power, which moves the ratio for quiet crops, and is left out here.

What is done is planned globally, like the batches: a pure function of (seed, epoch, batch) and the sizes of the bank.
So a worker augments its share alone, and those it mixes in: first augment, then mix. What it hears is what it is in
the whole batch to float32 rounding: a transform's last bits depend on how many rows it has.

Shapes: B crops, T samples, L taps, K recordings of speech at most.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor
from torchaudio.functional import fftconvolve

from trainables.batches import AUGMENTATION_STREAM
from trainables.corpora.banks import Bank
from trainables.corpora.corpus import crop

KINDS = ("none", "rooms", "music", "speech", "noise")
SNR_DB = {"music": (5.0, 15.0), "speech": (13.0, 20.0), "noise": (0.0, 15.0)}
COUNTS = {"music": (1, 1), "speech": (3, 7), "noise": (1, 1)}
MOST_CLIPS = 7


@dataclass(frozen=True)
class AugmentationPlan:
    """What is done to each of B crops.

    kind_B: place in KINDS; count_B: how many clips of the bank; the first so many of the K columns tell which
    (clips_BK), where each starts as a fraction of the room there is (starts_BK), and how many dB it is below (snr_BK).
    """

    kind_B: NDArray[np.int64]
    count_B: NDArray[np.int64]
    clips_BK: NDArray[np.int64]
    starts_BK: NDArray[np.float64]
    snr_BK: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind_B)

    def take(self, crops: NDArray[np.int64]) -> "AugmentationPlan":
        """The plan of these crops alone: a worker's share, or the partners it mixes in."""
        return AugmentationPlan(
            kind_B=self.kind_B[crops],
            count_B=self.count_B[crops],
            clips_BK=self.clips_BK[crops],
            starts_BK=self.starts_BK[crops],
            snr_BK=self.snr_BK[crops],
        )


def plan_augmentation(*, seed: int, epoch: int, batch: int, num_crops: int, bank: Bank) -> AugmentationPlan:
    """What is done to the crops of batch number `batch` (from 0) of an epoch.

    Crops count speaker by speaker: utterance u of speaker s is crop s * utterances + u of the whole batch.
    """
    key = np.array([seed, epoch], dtype=np.uint64)
    rng = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, batch, AUGMENTATION_STREAM]))
    kind_B = rng.integers(len(KINDS), size=num_crops)
    drawn_BK, starts_BK, levels_BK = rng.random((3, num_crops, MOST_CLIPS))
    counts_B = rng.random(num_crops)
    count_B = np.zeros(num_crops, dtype=np.int64)
    clips_BK = np.zeros((num_crops, MOST_CLIPS), dtype=np.int64)
    snr_BK = np.zeros((num_crops, MOST_CLIPS))
    for number, kind in enumerate(KINDS[1:], start=1):
        rows = kind_B == number
        size = len(bank.clips[kind])
        fewest, most = COUNTS.get(kind, (1, 1))
        count_B[rows] = np.minimum(fewest + (counts_B[rows] * (most - fewest + 1)).astype(np.int64), size)
        clips_BK[rows] = _distinct(drawn_BK[rows], size=size)
        low, high = SNR_DB.get(kind, (0.0, 0.0))
        snr_BK[rows] = low + (high - low) * levels_BK[rows]
    return AugmentationPlan(kind_B=kind_B, count_B=count_B, clips_BK=clips_BK, starts_BK=starts_BK, snr_BK=snr_BK)


def augment(waveforms_BT: Tensor, *, plan: AugmentationPlan, bank: Bank) -> Tensor:
    """The crops (B, T) after the plan, on their device and scale; integers come back as float32.

    float16 and bfloat16 are worked on in float32 and cast back. A part of the crops with its part of the plan gives
    what the whole gives to float32 rounding, not bit by bit.
    Silence, of a crop or of a clip, adds nothing. The result may pass full scale: it is not clipped.

    Raises ValueError if the plan is for another number of crops.
    """
    if waveforms_BT.ndim != 2 or len(waveforms_BT) != len(plan):
        raise ValueError(f"waveforms_BT must be (B, T) for a plan of {len(plan)}, but got {tuple(waveforms_BT.shape)}.")
    with torch.no_grad():
        clean_BT = waveforms_BT if waveforms_BT.dtype in (torch.float32, torch.float64) else waveforms_BT.float()
        augmented_BT = clean_BT.clone()
        in_room = np.flatnonzero(plan.kind_B == KINDS.index("rooms"))
        if len(in_room):
            rows = torch.from_numpy(in_room).to(clean_BT.device)
            responses = _responses(plan.clips_BK[in_room, 0], bank, like=clean_BT)
            augmented_BT[rows] = fftconvolve(clean_BT[rows], responses)[:, : clean_BT.shape[1]]
        norm_B = torch.linalg.vector_norm(clean_BT, dim=1)
        # Column by column, and not all at once: a sum over one crop's clips has one order on every device.
        for k in range(MOST_CLIPS):
            noisy = np.flatnonzero((plan.kind_B > KINDS.index("rooms")) & (plan.count_B > k))
            if len(noisy):
                rows = torch.from_numpy(noisy).to(clean_BT.device)
                noise = _noise(noisy, k, plan, bank, like=clean_BT)
                snr = torch.from_numpy(plan.snr_BK[noisy, k]).to(clean_BT)
                gain = _gain(norm_B[rows], torch.linalg.vector_norm(noise, dim=1), snr)
                augmented_BT[rows] += noise.mul_(gain)
    return augmented_BT.to(waveforms_BT.dtype) if waveforms_BT.is_floating_point() else augmented_BT


def _gain(clean_B: Tensor, noise_B: Tensor, snr_B: Tensor) -> Tensor:
    """What brings noise so many dB below the crop, from the norms of both: (B, 1), 0 where either is silent."""
    gain_B = clean_B / torch.where(noise_B > 0, noise_B, 1.0) * 10 ** (-snr_B / 20)
    return torch.where(noise_B > 0, gain_B, 0.0).unsqueeze(1)


def _noise(rows: NDArray[np.int64], k: int, plan: AugmentationPlan, bank: Bank, *, like: Tensor) -> Tensor:
    """The crops of the rows' k-th clips, as long as the crop: a shorter clip is repeated."""
    num_samples = like.shape[1]
    crops_BT = np.stack(
        [
            crop(bank.clips[KINDS[plan.kind_B[i]]].clip(plan.clips_BK[i, k]), plan.starts_BK[i, k], num_samples)
            for i in rows
        ]
    )
    return torch.from_numpy(crops_BT).to(like.device).to(like.dtype)


def _responses(numbers: NDArray[np.int64], bank: Bank, *, like: Tensor) -> Tensor:
    """Room responses of norm 1, (B, L), filled up with zeros; taps beyond the crop's length are not heard."""
    found = [bank.clips["rooms"].clip(number) for number in numbers]
    # The longest of the bank, not of these: then a share of the batch is transformed at the length that the whole is.
    longest = min(int(np.diff(bank.clips["rooms"].ends_C, prepend=0).max()), like.shape[1])
    # Zeros make the length of the transform one that is fast: ten times and more, on a CPU.
    num_taps = next_fast_len(like.shape[1] + longest - 1, real=True) - like.shape[1] + 1
    responses = np.zeros((len(found), num_taps), dtype=np.float32)
    for row, clip in zip(responses, found, strict=True):
        norm = float(np.linalg.norm(clip.astype(np.float64)))
        some = clip[:longest]
        row[: len(some)] = some / norm if norm > 0 else 0
        if norm == 0:
            row[0] = 1  # a silent response is no room at all
    return torch.from_numpy(responses).to(like.device).to(like.dtype)


def _distinct(drawn_BK: NDArray[np.float64], *, size: int) -> NDArray[np.int64]:
    """Clips below `size` from numbers in [0, 1): those of a row differ, as far as there are so many."""
    picks_BK = np.zeros(drawn_BK.shape, dtype=np.int64)
    for k in range(min(drawn_BK.shape[1], size)):
        # The draw counts what is still there; every earlier pick at or below it moves it up by one.
        pick_B = (drawn_BK[:, k] * (size - k)).astype(np.int64)
        for earlier_B in np.sort(picks_BK[:, :k], axis=1).T:
            pick_B += pick_B >= earlier_B
        picks_BK[:, k] = pick_B
    return picks_BK
