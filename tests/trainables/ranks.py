"""One rank of the tests in test_distributed.py: `python ranks.py RANK SIZE FOLDER`.

With SIZE 1 there is no process group and torch's own batch norm stands in: this is the reference. With more, every rank
takes its (unequal) share of the same rows. Results are saved to FOLDER/SIZE-RANK.pt; gradients are divided by the
number of ranks or averaged by DDP, as the convention of `trainables.distributed` says.
"""

import sys
from pathlib import Path

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trainables.distributed import all_sum, gather_rows, world
from trainables.losses import angular_prototypical_loss, contrastive_mixup_loss
from trainables.nets.batchnorm import GatheredBatchNorm
from trainables.nets.resnet import FastResNet34

FIRST_SHARE = {5: 3, 6: 4, 8: 4}  # rows of rank 0, of so many rows


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def share(x):
    rank, size = world()
    if size == 1:
        return x
    return x.tensor_split([FIRST_SHARE[len(x)]])[rank]


def batch_norm(shape):
    """Three steps of training, one of evaluation: outputs of all rows, gradients, running statistics."""
    size = world()[1]
    reference = nn.BatchNorm2d(3) if len(shape) == 4 else nn.BatchNorm1d(3)
    norm = (GatheredBatchNorm(3) if size > 1 else reference).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm.bias.copy_(torch.tensor([-1.0, 0.0, 3.0]))
    results = []
    for step, training in enumerate((True, True, True, False)):
        norm.train(training).zero_grad()
        x = share(100 + draw(*shape, seed=step)).clone().requires_grad_()
        y = gather_rows(norm(x))
        # Not linear in y: the gradient depends on all rows.
        (y * draw(*shape, seed=9)).sum().square().backward()
        dx = gather_rows(x.grad) / size
        dw, db = all_sum(norm.weight.grad) / size, all_sum(norm.bias.grad) / size
        results += [y.detach(), dx, dw, db, norm.running_mean.clone(), norm.running_var.clone()]
    return results


def gathering():
    """Rows of unequal shares, an empty share among them, and the gradient of a function of all rows."""
    rank, size = world()
    x = share(draw(5, 2)).clone().requires_grad_()
    rows = gather_rows(x)
    rows.square().sum().square().backward()
    # All rows on the first rank, none on the others.
    lopsided = draw(4, 2)[: 4 if rank == 0 else 0]
    total = share(draw(6, 3)).sum(dim=0).requires_grad_()
    (weight,) = torch.autograd.grad(all_sum(total).pow(3).sum(), total)
    return [rows.detach(), gather_rows(x.grad) / size, gather_rows(lopsided), all_sum(total).detach(), weight / size]


class Distances(nn.Module):
    """A net and a loss over the gathered embeddings, as a trainable has them."""

    def __init__(self, net, loss):
        super().__init__()
        self.net, self.loss = net, loss
        self.scale, self.bias = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (10.0, -5.0))

    def forward(self, x_SU):
        speakers, utterances = x_SU.shape[:2]
        embeddings_SUD = self.net(x_SU.flatten(0, 1)).unflatten(0, (speakers, utterances))
        return self.loss(gather_rows(embeddings_SUD), self.scale, self.bias)


def ap(embeddings_SUD, scale, bias):
    return angular_prototypical_loss(embeddings_SUD=embeddings_SUD, scale=scale, bias=bias)


def mixup(embeddings_SUD, scale, bias):
    partner_S = torch.arange(len(embeddings_SUD)).roll(1)
    queries_SD, prototypes_SD = embeddings_SUD[:, -1], embeddings_SUD[:, 0]
    return contrastive_mixup_loss(
        queries_SD=queries_SD, prototypes_SD=prototypes_SD, partner_S=partner_S, ratio=0.3, scale=scale, bias=bias
    )


def training(net, loss, shape, steps):
    """Losses, last gradients and weights of some steps of gradient descent, under DDP where there are ranks."""
    model = Distances(net.double(), loss)
    wrapped = DistributedDataParallel(model) if world()[1] > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        value = wrapped(share(draw(*shape, seed=step)))
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    gradients = [p.grad for p in model.parameters()]
    state = [v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")]
    return [torch.stack(losses), *gradients, *state]


def small_net():
    torch.manual_seed(0)
    norm = GatheredBatchNorm(7) if world()[1] > 1 else nn.BatchNorm1d(7)
    return nn.Sequential(nn.Linear(4, 7), norm, nn.ReLU(), nn.Linear(7, 6))


def fast_resnet():
    torch.manual_seed(0)
    return FastResNet34(mels=16, embedding_size=8, width=4)


def bf16():
    """The loss of a float32 net whose convolutions run in bf16, and whether all gradients are finite."""
    model = Distances(fast_resnet(), mixup).float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(share(draw(6, 2, 16, 20)).float())
    loss.backward()
    return [loss.detach(), torch.tensor([bool(p.grad.isfinite().all()) for p in model.parameters()]).all()]


def main(rank, size, folder):
    torch.set_num_threads(1)
    assert world() == (0, 1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
        assert world() == (rank, size)
    results = {
        "batch norm (N, C)": batch_norm((5, 3)),
        "batch norm (N, C, T)": batch_norm((6, 3, 4)),
        "batch norm (N, C, H, T)": batch_norm((5, 3, 4, 2)),
        "gathering": gathering(),
        "AP loss": training(small_net(), ap, (8, 3, 4), steps=4),
        "AP loss, unequal shares": training(small_net(), ap, (5, 2, 4), steps=4),
        "contrastive mixup of Fast ResNet34": training(fast_resnet(), mixup, (6, 2, 16, 20), steps=2),
    }
    results["bf16"] = bf16()
    torch.save(results, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
