"""`GatheredBatchNorm` in one process against torch's own, which is exact in float64 (several processes: the tests of
test_distributed.py and test_float32_ranks.py).
"""

import pytest
import torch
from torch import nn

from trainables.nets import batchnorm
from trainables.nets.batchnorm import GatheredBatchNorm

SHAPES = [((6, 3), nn.BatchNorm1d), ((4, 3, 7), nn.BatchNorm1d), ((4, 3, 5, 2), nn.BatchNorm2d)]


def results(norm, x, direction):
    """Output, gradients and running statistics of one step, in float64."""
    norm.zero_grad()
    leaf = x.clone().requires_grad_()
    y = norm(leaf)
    (y * direction).sum().backward()
    found = [y, leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
    return [value.detach().clone().double() for value in found]


def with_weights(norm):
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm.bias.copy_(torch.tensor([-1.0, 0.0, 3.0]))
    return norm


@pytest.mark.parametrize(("shape", "reference"), SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
def test_one_process_equals_torch(shape, reference, dtype, tolerance):
    """Outputs, gradients and running statistics over three training steps, then evaluation."""
    torch.manual_seed(0)
    ours, torchs = with_weights(GatheredBatchNorm(3).to(dtype)), with_weights(reference(3).double())
    for training in (True, True, True, False):
        x = torch.randn(*shape, dtype=dtype) * 3 + 1
        direction = torch.randn(*shape, dtype=dtype)
        expected = results(torchs.train(training), x.double(), direction.double())
        for wanted, got in zip(expected, results(ours.train(training), x, direction), strict=True):
            torch.testing.assert_close(got, wanted, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_float32_is_exact_over_many_pixels(offset, monkeypatch):
    """100,000 channels-last pixels: outputs, gradients and statistics to five digits; torch has three."""
    torch.manual_seed(0)
    x = (torch.randn(25, 3, 20, 200) + offset).contiguous(memory_format=torch.channels_last)
    direction = torch.randn_like(x) + 0.5
    expected = results(with_weights(nn.BatchNorm2d(3, momentum=1.0).double()), x.double(), direction.double())
    monkeypatch.setattr(batchnorm, "MOMENTUM", 1.0)
    actual = results(with_weights(GatheredBatchNorm(3)), x, direction)
    # The weight's gradient is a difference of sums that grow with the offset.
    for wanted, got, digits in zip(expected, actual, (5e-6, 5e-6, 1e-4, 5e-6, 5e-6, 5e-6), strict=True):
        assert (got - wanted).abs().max() <= digits * wanted.abs().max()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 7), (4, 3, 5, 2), (0, 3, 5, 2)])
def test_the_form_for_gpus_gives_the_same(shape, monkeypatch):
    """GPUs get whole-tensor operations where the CPU goes row by row; run here, they agree."""
    torch.manual_seed(0)
    x, dy = torch.randn(*shape, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64)
    weight, mean, inverse = torch.rand(3, 3, dtype=torch.float64).unbind()
    found = []
    for is_on_cpu in (True, False):
        monkeypatch.setattr(batchnorm, "_is_on_cpu", lambda _x, answer=is_on_cpu: answer)
        sums = batchnorm._gradient_sums(x, dy, weight, mean, inverse)
        found.append([*(batchnorm._batch_statistics(x, is_shared=False) if len(x) else ()), *sums])
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_a_rows_part_does_not_depend_on_the_others():
    """In whatever company and order rows are summed, the statistics are the same to the last bit of float32."""
    torch.manual_seed(0)
    x = torch.randn(24, 3, 10, 50).contiguous(memory_format=torch.channels_last)
    expected = batchnorm._batch_statistics(x, is_shared=False)
    turned = batchnorm._batch_statistics(x.roll(7, dims=0), is_shared=False)
    contiguous = batchnorm._batch_statistics(x.contiguous(), is_shared=False)
    assert all(torch.equal(one.float(), other.float()) for one, other in zip(expected, turned, strict=True))
    torch.testing.assert_close(contiguous, expected)


@pytest.mark.parametrize("gathered", [True, False])
def test_bf16_is_torchs_own(gathered):
    """One process in bf16 goes the quick way, bit for bit torch's."""
    torch.manual_seed(0)
    x, direction = torch.randn(4, 3, 5, 2).bfloat16(), torch.randn(4, 3, 5, 2).bfloat16()
    expected = results(with_weights(nn.BatchNorm2d(3)), x, direction)
    actual = results(with_weights(GatheredBatchNorm(3, gathered=gathered)), x, direction)
    assert all(map(torch.equal, expected, actual))


def test_what_follows_may_be_done_in_place():
    """ReLU in place on the result has the gradient of ReLU on a copy."""
    x, gradients = torch.randn(6, 3, 4, 2, generator=torch.Generator().manual_seed(0)), []
    for relu in (torch.relu, torch.relu_):
        leaf = x.clone().requires_grad_()
        relu(GatheredBatchNorm(3)(leaf)).square().sum().backward()
        gradients.append(leaf.grad)
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(gradients[1], gradients[0])


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


def test_a_single_value_is_refused():
    """It has no variance; in evaluation it is welcome."""
    with pytest.raises(ValueError, match=r"more than one value a channel in training, but got shape \(1, 3\)"):
        GatheredBatchNorm(3)(torch.zeros(1, 3))
    assert GatheredBatchNorm(3).eval()(torch.zeros(1, 3)).shape == (1, 3)
