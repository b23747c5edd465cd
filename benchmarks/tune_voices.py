"""How hard are the synthetic voices? `python -m benchmarks.tune_voices [--minutes M] [--seed S] [options ...]`.

Every `options` (as after `synthetic?`, quoted: "session=2&idio=0.7"; none: the defaults) is a row of the table:

- eer: `contrastive_mixup` on a Fast ResNet34 of width 8, trained on the train speakers and scored on the dev speakers;
- gender, sup, sub: accuracy of a small convolution net on the ages' classes (20-30, 40-50, 60 and the five decades) of
  speakers it never heard, then that of a logistic regression on each utterance's mean and spread of log-mels;
- next: the share of the net's wrong decades that are a neighbour of the right one.

What is sought: 5-20 % eer, gender over 95 %, sup 60-85 %, sub clearly harder and mostly wrong by one. Each of the two
nets takes at most `--minutes` of processor time on one thread; if that is not enough, the table tells "cut".

Letters: N utterances, T samples or frames, F mel bins, C classes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables import contrastive_mixup
from trainables.corpora.corpus import AudioCache, Corpus
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import audio_caches
from trainables.features import HOP_SAMPLES, SAMPLE_RATE, LogMel

SUP_OF_SUB = np.array([0, 0, 1, 1, 2])
TASKS = {"gender": 2, "sup": 3, "sub": 5}  # classes
VERIFIER_EPOCHS, NET_EPOCHS = 30, 20
UNSEEN_SPEAKERS = 150  # of the classes; verification has the corpus's own dev speakers
CROP_SAMPLES = 2 * SAMPLE_RATE
BATCH = 32
LAST = 3  # epochs whose metric is averaged: one epoch's alone wavers


@dataclass(frozen=True)
class Classes:
    """Log-mels of whole utterances, and the class of each in every task."""

    features_NFT: list[Tensor]
    classes_N: dict[str, Tensor]

    def pooled(self) -> npt.NDArray[np.float32]:
        """Mean and spread over the frames of every utterance, (N, 2 F)."""
        return torch.stack([torch.cat([x.mean(dim=1), x.std(dim=1)]) for x in self.features_NFT]).numpy()


def main() -> int:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("options", nargs="*", default=[""], help='what follows "synthetic?"; "" is the defaults')
    parser.add_argument("--minutes", type=float, default=5.0, help="of processor time, at most, a net (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the nets, not of the voices (default: 1)")
    parser.add_argument("--only", choices=("verification", "classes"), help="one half of the table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'options':36} {'eer':>12} {'gender':>13} {'sup':>13} {'sub':>13} {'next':>6}   (net / regression, %)")
    for options in given.options:
        cells = [f"{options or 'defaults':36}"]
        cells.append(_verification(options, given) if given.only != "classes" else f"{'-':>12}")
        cells += _classes(options, given) if given.only != "verification" else []
        print(" ".join(cells), flush=True)
    return 0


def _verification(options: str, given: argparse.Namespace) -> str:
    """Return the dev EER (%) at the end of training, and when it was cut, after how many epochs."""
    splits = open_roles({"train": [f"synthetic?{options}"]}, sample_rate=SAMPLE_RATE)
    config = ContrastiveMixup(
        width=8, embedding_size=64, precision="bf16", batch_speakers=8, crop_s=2.0, eval_crop_s=2.0, eval_crops=3,
        learning_rate=2e-3, lr_decay=0.3, lr_decay_epochs=12, epochs=VERIFIER_EPOCHS,
    )  # fmt: skip
    task = contrastive_mixup.build(
        config, seed=given.seed, splits=splits, audio=audio_caches(splits),
        device=torch.device("cpu"), rank=0, size=1,
    )  # fmt: skip
    optimizer, schedule = task.optimizer()
    rates, start = [], time.process_time()
    for epoch in range(1, config.epochs + 1):
        losses = []
        for batch in task.batches(epoch):
            optimizer.zero_grad(set_to_none=True)
            loss = task.module(batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        is_late = time.process_time() - start > 60 * given.minutes
        if epoch > config.epochs - LAST or epoch % 4 == 0 or is_late:
            rates.append(task.evaluate()["eer"])
            print(f"  epoch {epoch}: loss {np.mean(losses):.2f}, eer {100 * rates[-1]:.1f} %", file=sys.stderr)
        if is_late and epoch < config.epochs:
            return f"{100 * rates[-1]:5.1f} cut {epoch:2}"
    return f"{100 * np.mean(rates[-LAST:]):12.1f}"


def _classes(options: str, given: argparse.Namespace) -> Iterator[str]:
    """Yield the accuracies (%) of net and regression in each task, and the share of wrong decades that are near."""
    unseen_speakers = {"dev_speakers": UNSEEN_SPEAKERS, "dev_utterances": 2, "test_speakers": 0}
    text = urlencode({**dict(parse_qsl(options)), **unseen_speakers})
    splits = open_roles({"train": [f"synthetic?{text}"]}, sample_rate=SAMPLE_RATE)
    heard, unseen = _read(splits.train), _read(splits.dev)
    scale = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
    scores, note = _fit_net(heard, unseen, given)
    for task in TASKS:
        truth_N = unseen.classes_N[task].numpy()
        regression = scale.fit(heard.pooled(), heard.classes_N[task].numpy()).score(unseen.pooled(), truth_N)
        net = float((scores[task].argmax(dim=1).numpy() == truth_N).mean())
        yield f"{100 * net:5.1f} / {100 * regression:5.1f}"
    wrong_N = (scores["sub"].argmax(dim=1) - unseen.classes_N["sub"]).abs().numpy()
    yield f"{100 * float((wrong_N == 1).sum() / max((wrong_N > 0).sum(), 1)):6.1f}{note}"


def _read(corpus: Corpus) -> Classes:
    cache, log_mel = AudioCache(corpus), LogMel()
    features = []
    for i in range(len(corpus)):
        samples_T = torch.from_numpy(cache.waveform(i).astype(np.float32) / 32768)
        features.append(log_mel(samples_T.unsqueeze(0))[0])
    sub_N = np.clip((np.asarray(corpus.table["age"].to_pylist()) - 20) // 10, 0, 4).astype(np.int64)
    gender_N = np.asarray([gender == "M" for gender in corpus.table["gender"].to_pylist()], dtype=np.int64)
    classes = {"gender": gender_N, "sup": SUP_OF_SUB[sub_N], "sub": sub_N}
    return Classes(features_NFT=features, classes_N={task: torch.from_numpy(c_N) for task, c_N in classes.items()})


class ConvNet(nn.Module):
    """Four dilated convolutions over log-mels (B, F, T), mean and spread over time, a linear head a task."""

    def __init__(self, mels: int = 40, channels: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k, dilation in enumerate((1, 2, 3, 4)):
            layers += [
                nn.Conv1d(channels if k else mels, channels, 5 if k == 0 else 3, stride=2 if k == 0 else 1,
                          dilation=dilation, padding=2 if k == 0 else dilation),
                nn.ReLU(),
                nn.BatchNorm1d(channels),
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.3)
        self.heads = nn.ModuleDict({task: nn.Linear(2 * channels, count) for task, count in TASKS.items()})

    def forward(self, features_BFT: Tensor) -> dict[str, Tensor]:
        """Return the logits (B, C) of each task."""
        x = self.layers(features_BFT / 4 + 1)
        pooled = self.drop(torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1))
        return {task: head(pooled) for task, head in self.heads.items()}


def _fit_net(heard: Classes, unseen: Classes, given: argparse.Namespace) -> tuple[dict[str, Tensor], str]:
    """Return the probabilities of the unseen utterances (N, C) in each task, and whether training was cut."""
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    net = ConvNet()
    steps = NET_EPOCHS * math.ceil(len(heard.features_NFT) / BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    frames, start = CROP_SAMPLES // HOP_SAMPLES, time.process_time()
    for _ in range(NET_EPOCHS):
        order = rng.permutation(len(heard.features_NFT))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            crops = torch.stack([_crop(heard.features_NFT[i], rng.random(), frames) for i in rows])
            logits = net(crops)
            optimizer.zero_grad(set_to_none=True)
            losses = [F.cross_entropy(logits[t], heard.classes_N[t][rows], label_smoothing=0.1) for t in TASKS]
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
        if time.process_time() - start > 60 * given.minutes:
            break
    net.eval()
    with torch.no_grad():
        outputs = [net(x.unsqueeze(0)) for x in unseen.features_NFT]
    note = "" if schedule.last_epoch >= steps else f"  cut {schedule.last_epoch} of {steps} steps"
    return {task: torch.cat([output[task] for output in outputs]).softmax(dim=1) for task in TASKS}, note


def _crop(features_FT: Tensor, fraction: float, frames: int) -> Tensor:
    first = int(fraction * max(features_FT.shape[1] - frames, 0))
    piece = features_FT[:, first : first + frames]
    return F.pad(piece, (0, frames - piece.shape[1]), value=float(piece.mean())) if piece.shape[1] < frames else piece


if __name__ == "__main__":
    sys.exit(main())
