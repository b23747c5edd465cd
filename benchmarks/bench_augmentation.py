"""Augmentation of a batch in training, against a loop over its crops; and the telephone against synthesis itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor

from benchmarks.side_by_side import Comparison, compare
from trainables.augmentation import KINDS, AugmentationPlan, augment, plan_augmentation
from trainables.corpora.banks import Bank, open_bank
from trainables.corpora.conditions import TELEPHONE, circumstances_of
from trainables.corpora.corpus import Int16s, crop
from trainables.corpora.sources import parse_source
from trainables.corpora.transmission import transmit

RATE = 16000


def loop(waveforms_BT: Tensor, *, plan: AugmentationPlan, bank: Bank) -> Tensor:
    """The recipe as it is written for a data loader: one crop after the other, in numpy."""
    augmented = waveforms_BT.numpy().astype(np.float32)
    for i, audio in enumerate(augmented):
        kind = KINDS[plan.kind_B[i]]
        if kind == "rooms":
            response = bank.clips[kind].clip(plan.clips_BK[i, 0]).astype(np.float32)
            audio[:] = fftconvolve(audio, response / np.sqrt((response**2).sum()))[: len(audio)]
            continue
        power = (audio**2).mean()
        for k in range(plan.count_B[i]):
            noise = crop(bank.clips[kind].clip(plan.clips_BK[i, k]), plan.starts_BK[i, k], len(audio))
            noise = noise.astype(np.float32)
            audio += np.sqrt(power / (noise**2).mean() * 10 ** (-plan.snr_BK[i, k] / 10)) * noise
    return torch.from_numpy(augmented)


def comparisons(quick: bool) -> Iterator[Comparison]:
    """A batch of 2 s crops, and utterances of 2 s over the telephone beside the time that making them takes."""
    bank = open_bank(sample_rate=RATE, made_clips=12 if quick else 60)
    num_crops = 64 if quick else 200
    waveforms_BT = torch.randint(-3000, 3000, (num_crops, 2 * RATE), dtype=torch.int16)
    plan = plan_augmentation(seed=0, epoch=1, batch=0, num_crops=num_crops, bank=bank)
    torch.testing.assert_close(
        augment(waveforms_BT, plan=plan, bank=bank), loop(waveforms_BT, plan=plan, bank=bank), rtol=1e-3, atol=2.0
    )
    yield compare(
        f"augmentation, {num_crops} crops of 2 s",
        ours=("batched", partial(augment, waveforms_BT, plan=plan, bank=bank)),
        theirs=("crop by crop", partial(loop, waveforms_BT, plan=plan, bank=bank)),
        rounds=3 if quick else 5,
    )
    source = parse_source("synthetic?speakers=30&utterances=1&seconds=2")
    indices = source.listing(number=0, sample_rate=RATE).table["index"].to_pylist()[:30]
    utterances = [source.waveform(path=None, index=index, sample_rate=RATE) for index in indices]
    yield compare(
        f"{len(indices)} utterances of 2 s",
        ours=("over the telephone", partial(_telephone, utterances)),
        theirs=("synthesised", lambda: [source.waveform(path=None, index=i, sample_rate=RATE) for i in indices]),
        rounds=3,
    )


def _telephone(utterances: list[Int16s]) -> list[Int16s]:
    return [
        transmit(
            samples_T,
            circumstances_of(TELEPHONE, key=str(i)),
            sample_rate=RATE,
            second_T=utterances[i - 1],
        )
        for i, samples_T in enumerate(utterances)
    ]
