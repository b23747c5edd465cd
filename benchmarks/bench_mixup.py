"""What mixing and augmentation cost beside a training step of the paper's net; the paper calls mixup negligible."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.bench_nets import CROP_SAMPLES, EMBEDDING, MELS, WIDTH, step
from trainables.augmentation import augment, plan_augmentation
from trainables.corpora.banks import open_bank
from trainables.features import SAMPLE_RATE, LogMel
from trainables.losses import angular_prototypical_loss, contrastive_mixup_loss
from trainables.mixup import mix_features, mix_waveforms, mixable
from trainables.nets.resnet import FastResNet34

RATIO = 0.3


def waveforms_mixed(queries_ST: Tensor, samples_ST: Tensor) -> Tensor:
    """What mixing waveforms adds to a step: the partners' samples as floats, their volume, the mixture."""
    partners_ST = samples_ST.float() / 32768
    mixable(waveforms_ST=queries_ST, partners_ST=partners_ST)
    return mix_waveforms(waveforms_ST=queries_ST, partners_ST=partners_ST, ratio=RATIO, volume="rms")


def features_mixed(queries_SFT: Tensor, queries_ST: Tensor, samples_ST: Tensor, front_end: LogMel) -> Tensor:
    """What mixing features adds to a step: the partners' features, and the mixture."""
    partners_ST = samples_ST.float() / 32768
    is_mixed_S = mixable(waveforms_ST=queries_ST, partners_ST=partners_ST)
    mixed_SFT = mix_features(features_SFT=queries_SFT, partners_SFT=front_end(partners_ST), ratio=RATIO)
    return torch.where(is_mixed_S[:, None, None], mixed_SFT, queries_SFT)


def losses_s(speakers: int) -> tuple[float, float]:
    """Seconds of the AP loss and of contrastive mixup's, forward and backward."""
    embeddings_SUD = torch.randn(speakers, 2, EMBEDDING, requires_grad=True)
    partner_S = torch.randperm(speakers)

    def ap() -> None:
        angular_prototypical_loss(embeddings_SUD=embeddings_SUD, scale=10.0, bias=-5.0).backward()

    def mixed() -> None:
        queries_SD, prototypes_SD = embeddings_SUD[:, -1], embeddings_SUD[:, 0]
        contrastive_mixup_loss(
            queries_SD=queries_SD, prototypes_SD=prototypes_SD, partner_S=partner_S, ratio=RATIO, scale=10.0, bias=-5.0
        ).backward()

    return fastest(ap, rounds=20), fastest(mixed, rounds=20)


def fastest(run: Callable[[], object], *, rounds: int) -> float:
    """The fewest seconds of some runs, after one that does not count."""
    seconds = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def comparisons(quick: bool) -> Iterator[str]:
    """Shares of a step: its own operations alone, measured by themselves, since two steps differ by more than that."""
    speakers, rounds = (4, 2) if quick else (16, 5)
    front_end, net = LogMel(MELS), FastResNet34(mels=MELS, embedding_size=EMBEDDING, width=WIDTH)
    samples = torch.randint(-3000, 3000, (2 * speakers, CROP_SAMPLES), dtype=torch.int16)
    waveforms = samples.float() / 32768
    steps = {
        name: fastest(partial(step, net, angular_prototypical_loss, front_end, waveforms, bf16), rounds=rounds)
        for name, bf16 in (("float32", False), ("bf16", True))
    }
    queries, partners = waveforms[:speakers], samples[:speakers].roll(1, dims=0)
    ap_s, mixed_s = losses_s(speakers)
    more_s = max(0.0, mixed_s - ap_s)
    bank = open_bank(sample_rate=SAMPLE_RATE, made_clips=12 if quick else 60)
    costs = {
        "mixup of waveforms": fastest(partial(waveforms_mixed, queries, partners), rounds=10) + more_s,
        "mixup of log-mels": fastest(
            partial(features_mixed, front_end(queries), queries, partners, front_end), rounds=10
        )
        + more_s,
    }
    # With mixing a worker augments its partners' crops too: 3 crops a speaker.
    for what, count in (("augmentation", 2 * speakers), ("augmentation under mixup", 3 * speakers)):
        crops = torch.cat([samples, partners])[:count]
        plan = plan_augmentation(seed=0, epoch=1, batch=0, num_crops=count, bank=bank)
        costs[what] = fastest(partial(augment, crops, plan=plan, bank=bank), rounds=5)
    for what, seconds in costs.items():
        shares = ", ".join(
            f"{100 * seconds / whole:.2f} % of a {name} step of {whole * 1e3:.0f} ms" for name, whole in steps.items()
        )
        yield f"{what}, {speakers} speakers x 2 crops of 2 s: {seconds * 1e3:.1f} ms, {shares}"
