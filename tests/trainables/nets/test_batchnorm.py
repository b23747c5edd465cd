"""`GatheredBatchNorm` in one process against torch's own (several processes: tests/trainables/test_distributed.py)."""

import pytest
import torch
from torch import nn

from trainables.nets.batchnorm import GatheredBatchNorm

SHAPES = [((6, 3), nn.BatchNorm1d), ((4, 3, 7), nn.BatchNorm1d), ((4, 3, 5, 2), nn.BatchNorm2d)]


@pytest.mark.parametrize(("shape", "reference"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_process_equals_torch(shape, reference, dtype):
    """Outputs, gradients and running statistics over three training steps, then evaluation: bit for bit."""
    torch.manual_seed(0)
    ours, torchs = GatheredBatchNorm(3).to(dtype), reference(3).to(dtype)
    with torch.no_grad():
        for p in (ours, torchs):
            p.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            p.bias.copy_(torch.tensor([-1.0, 0.0, 3.0]))
    for training in (True, True, True, False):
        x = torch.randn(*shape, dtype=dtype) * 3 + 1
        direction = torch.randn(*shape, dtype=dtype)
        results = []
        for norm in (torchs.train(training), ours.train(training)):
            norm.zero_grad()
            leaf = x.clone().requires_grad_()
            y = norm(leaf)
            (y * direction).sum().backward()
            results.append([y, leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var])
        for expected, actual in zip(*results, strict=True):
            assert torch.equal(expected, actual)


def test_its_state_is_torchs():
    """Weights and buffers have torch's names and values, so that an exported net loads elsewhere."""
    expected = nn.BatchNorm2d(3).state_dict()
    del expected["num_batches_tracked"]
    actual = GatheredBatchNorm(3).state_dict()
    assert {k: v.tolist() for k, v in expected.items()} == {k: v.tolist() for k, v in actual.items()}


def test_other_channels_are_refused():
    """The sentence has the rule and the shape."""
    with pytest.raises(ValueError, match=r"x must be \(batch, 3 channels, ...\), but got shape \(2, 4\)"):
        GatheredBatchNorm(3)(torch.zeros(2, 4))
