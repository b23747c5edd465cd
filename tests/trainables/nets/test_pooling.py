"""Self-attentive pooling and attentive statistics against their formulas."""

import math

import torch

from trainables.nets.pooling import AttentiveStatisticsPooling, SelfAttentivePooling


def test_it_is_the_mean_weighted_by_attention():
    """Frame by frame: e_t = v . tanh(W x_t + b), weights softmax(e), result the weighted sum."""
    torch.manual_seed(0)
    pooling = SelfAttentivePooling(3).double()
    frames = torch.randn(2, 4, 3, dtype=torch.float64)
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for i in range(2):
        scores = [
            (torch.tanh(pooling.hidden.weight @ x + pooling.hidden.bias) @ pooling.attention[:, 0]).item()
            for x in frames[i]
        ]
        total = sum(math.exp(e) for e in scores)
        for e, x in zip(scores, frames[i], strict=True):
            expected[i] += math.exp(e) / total * x
    torch.testing.assert_close(pooling(frames), expected)


def test_equal_frames_pool_to_themselves_and_order_does_not_matter():
    """The weights add up to one; time has no direction here."""
    torch.manual_seed(0)
    pooling = SelfAttentivePooling(5)
    frame = torch.randn(1, 1, 5)
    torch.testing.assert_close(pooling(frame.expand(1, 7, 5)), frame[:, 0])
    frames = torch.randn(2, 9, 5)
    torch.testing.assert_close(pooling(frames.flip(1)), pooling(frames))


def test_attentive_statistics_are_the_formula_of_the_reference_code():
    """Frame by frame: weighted mean, and sqrt(clamp(E[x^2] - mean^2, 1e-5)), with the attention of the other class."""
    torch.manual_seed(0)
    pooling = AttentiveStatisticsPooling(3).double()
    frames = torch.randn(2, 4, 3, dtype=torch.float64)
    frames[1, :, 2] = 5.0
    expected = torch.zeros(2, 6, dtype=torch.float64)
    for i in range(2):
        scores = [
            (torch.tanh(pooling.hidden.weight @ x + pooling.hidden.bias) @ pooling.attention[:, 0]).item()
            for x in frames[i]
        ]
        total = sum(math.exp(e) for e in scores)
        weights = [math.exp(e) / total for e in scores]
        for c in range(3):
            mean = sum(w * x[c].item() for w, x in zip(weights, frames[i], strict=True))
            square = sum(w * x[c].item() ** 2 for w, x in zip(weights, frames[i], strict=True))
            expected[i, c] = mean
            expected[i, 3 + c] = math.sqrt(max(square - mean**2, 1e-5))
    torch.testing.assert_close(pooling(frames), expected)


def test_the_means_of_attentive_statistics_are_those_of_self_attentive_pooling():
    """Same names, same weights, same attention."""
    torch.manual_seed(0)
    one, other = SelfAttentivePooling(5), AttentiveStatisticsPooling(5)
    other.load_state_dict(one.state_dict())
    frames = torch.randn(2, 9, 5)
    torch.testing.assert_close(other(frames)[:, :5], one(frames))


def test_frames_that_are_alike_have_finite_gradients():
    """The root of a variance of zero would have an infinite one."""
    frames = torch.full((2, 6, 3), 4.0, requires_grad=True)
    pooling = AttentiveStatisticsPooling(3)
    pooling(frames).sum().backward()
    assert bool(frames.grad.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in pooling.parameters())


def test_the_gradient_of_attentive_statistics_is_that_of_differences():
    """Float64 finite differences."""
    torch.manual_seed(0)
    pooling = AttentiveStatisticsPooling(3).double()
    frames = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pooling, frames)
