"""One rank of the GPU check: `python -m voxstudy.gpu_ranks RANK SIZE FOLDER DEVICE`, DEVICE being cuda or cpu.

Ranks train a small net on shares of one batch, in float64, and normalise shares of one batch; what they computed goes
to FOLDER/SIZE-RANK.pt. On CUDA each rank has a GPU of its own and they talk over NCCL, on the CPU over gloo.

Shape suffixes: S speakers, U utterances, D embedding, B batch, F mel bins, T frames, C channels.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainables.distributed import gather_rows, world
from trainables.losses import angular_prototypical_loss
from trainables.nets.batchnorm import GatheredBatchNorm
from trainables.nets.resnet import FastResNet34

STEPS = 20
SPEAKERS, UTTERANCES, MELS, FRAMES, EMBEDDING, WIDTH = 8, 2, 16, 24, 8, 4
LEARNING_RATE = 1e-3
TIMEOUT_S = 600.0
Results = dict[str, Any]


class Distances(nn.Module):
    """Fast ResNet34 and the AP loss of the gathered embeddings, as a trial has them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = FastResNet34(mels=MELS, embedding_size=EMBEDDING, width=WIDTH)

    def forward(self, features_BFT: Tensor) -> Tensor:
        """The loss of the whole batch from this rank's share of it."""
        own_SUD = self.net(features_BFT).unflatten(0, (-1, UTTERANCES))
        return angular_prototypical_loss(embeddings_SUD=gather_rows(own_SUD), scale=10.0, bias=-5.0)


def train(device: torch.device) -> Tensor:
    """The losses of some steps with Adam, float64; the same for any number of ranks."""
    rank, size = world()
    torch.manual_seed(0)
    model = Distances().double().to(device)
    wrapped = DistributedDataParallel(model) if size > 1 else model
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        whole = torch.randn(SPEAKERS * UTTERANCES, MELS, FRAMES, dtype=torch.float64, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        loss = wrapped(whole.tensor_split(size)[rank].to(device))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().cpu())
    return torch.stack(losses)


def normalise(device: torch.device, *, is_torchs: bool) -> list[Tensor]:
    """Output, gradients and running statistics of gathered batch norm, or of torch's SyncBatchNorm, float32.

    One rank on the CPU stands for the whole batch: there torch's is `BatchNorm2d`.
    """
    rank, size = world()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 5, 4, generator=generator) * 2 + 1
    direction = torch.randn(x.shape, generator=generator)
    torchs = nn.SyncBatchNorm(3) if size > 1 else nn.BatchNorm2d(3)
    norm = (torchs if is_torchs else GatheredBatchNorm(3)).to(device)
    own = x.tensor_split(size)[rank].to(device).requires_grad_()
    y = norm(own)
    (y * direction.tensor_split(size)[rank].to(device)).sum().backward()
    assert own.grad is not None
    running = [norm.get_buffer(name) for name in ("running_mean", "running_var")]
    return [value.cpu() for value in (gather_rows(y.detach()), gather_rows(own.grad), *running)]


def run_ranks(size: int, folder: Path, *, device: str) -> list[Results]:
    """What each of `size` ranks in processes of their own computed. Raises RuntimeError with a failed rank's words."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if device == "cpu":
        environment |= {"GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "voxstudy.gpu_ranks", str(rank), str(size), str(folder), device],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        for process in running:
            output, _ = process.communicate(timeout=TIMEOUT_S)
            if process.returncode != 0:
                raise RuntimeError(output.strip().splitlines()[-1] if output.strip() else "a rank ended without a word")
    finally:
        for process in running:
            process.kill()
    return [torch.load(folder / f"{size}-{rank}.pt") for rank in range(size)]


def main(rank: int, size: int, folder: Path, device_type: str) -> None:
    """Compute as rank `rank` of `size` and save the results."""
    torch.set_num_threads(1)
    device = torch.device(f"cuda:{rank}" if device_type == "cuda" else device_type)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    results: Results = {"losses": train(device), "gathered": normalise(device, is_torchs=False)}
    if size == 1 or device.type == "cuda":  # SyncBatchNorm refuses the CPU
        results["torch"] = normalise(device, is_torchs=True)
    torch.save(results, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
