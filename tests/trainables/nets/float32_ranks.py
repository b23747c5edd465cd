"""One rank of test_float32_ranks.py: `python float32_ranks.py RANK SIZE FOLDER`.

The first step's gradients of Fast ResNet34 and AP loss in float32 on log-mels of synthetic voices, of which every rank
has its share; saved to FOLDER/SIZE-RANK.pt for every width.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainables.corpora.sources import parse_source
from trainables.distributed import gather_rows, world
from trainables.features import SAMPLE_RATE, LogMel, instance_normalise
from trainables.losses import angular_prototypical_loss
from trainables.nets.resnet import FastResNet34

WIDTHS = (4, 16)
VOICES = "synthetic?speakers=6&utterances=2&seconds=2&dev_speakers=0&test_speakers=0"


class Model(nn.Module):
    """Net and loss over the gathered embeddings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = FastResNet34(mels=40, embedding_size=64, width=width)

    def forward(self, features_BFT: Tensor) -> Tensor:
        embeddings_GUD = gather_rows(self.net(features_BFT).unflatten(0, (-1, 2)))
        return angular_prototypical_loss(embeddings_SUD=embeddings_GUD, scale=10.0, bias=-5.0)


def voices() -> Tensor:
    source = parse_source(VOICES)
    indices = source.listing(number=0, sample_rate=SAMPLE_RATE).table["index"].to_pylist()
    waveforms = [source.waveform(path=None, index=i, sample_rate=SAMPLE_RATE)[:SAMPLE_RATE] for i in indices]
    return torch.from_numpy(np.stack(waveforms).astype(np.float32)) / 32768


def main(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    assert world() == (rank, size)
    features_BFT = instance_normalise(LogMel(40)(voices()))
    share = features_BFT.tensor_split([8])[rank] if size > 1 else features_BFT  # 4 speakers, then 2
    gradients = {}
    for width in WIDTHS:
        model = Model(width)
        wrapped = DistributedDataParallel(model) if size > 1 else model
        wrapped(share).backward()
        gradients[width] = {name: p.grad for name, p in model.named_parameters()}
    torch.save(gradients, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
