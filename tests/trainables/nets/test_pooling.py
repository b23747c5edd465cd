"""Self-attentive pooling against its formula."""

import math

import torch

from trainables.nets.pooling import SelfAttentivePooling


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
