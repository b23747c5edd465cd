"""Fast ResNet34: its size, every width offered, precisions, and what its downsampling computes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainables.nets.batchnorm import GatheredBatchNorm
from trainables.nets.resnet import Block, FastResNet34

FEATURES = torch.randn(4, 40, 58, generator=torch.Generator().manual_seed(0))


def net(**changes):
    torch.manual_seed(0)
    return FastResNet34(**{"mels": 40, "embedding_size": 32, "width": 4} | changes)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("pooling", "embedding_size", "expected"),
    [
        ("sap", 512, 1_437_078),
        ("sap", 256, 1_404_054),
        # The embedding layer has 256 inputs, not 128: 128 x 512 or 128 x 256 more weights.
        ("asp", 512, 1_437_078 + 65_536),
        ("asp", 256, 1_404_054 + 32_768),
    ],
)
def test_it_has_the_papers_number_of_parameters(pooling, embedding_size, expected):
    """Width 16 is the quarter-channel ResNet-34 of the paper's baseline code."""
    model = net(embedding_size=embedding_size, width=16, pooling=pooling)
    assert expected == sum(p.numel() for p in model.parameters())


def test_its_parameters_are_counted_by_hand():
    """Stem, 16 blocks and their shortcuts, pooling and embedding of attentive statistics at width 16."""

    def block(channels_in, channels_out):
        convolutions = 9 * channels_in * channels_out + 9 * channels_out**2
        squeezed = channels_out // 8
        excitation = 2 * channels_out * squeezed + squeezed + channels_out
        shortcut = 0 if channels_in == channels_out else channels_in * channels_out + 2 * channels_out
        return convolutions + 4 * channels_out + excitation + shortcut

    expected = 49 * 16 + 2 * 16
    expected += 3 * block(16, 16) + block(16, 32) + 3 * block(32, 32) + block(32, 64) + 5 * block(64, 64)
    expected += block(64, 128) + 2 * block(128, 128)
    expected += 128 * 128 + 128 + 128 + 256 * 512 + 512
    assert expected == sum(p.numel() for p in net(embedding_size=512, width=16, pooling="asp").parameters())


def test_an_unknown_pooling_is_refused():
    """With the ones there are."""
    with pytest.raises(ValueError, match="pooling must be one of sap, asp, but got 'mean'"):
        net(pooling="mean")


@pytest.mark.parametrize("gathered", [True, False])
def test_every_batch_norm_knows_whose_batch_it_sees(gathered):
    """36 of them at any width: one of the stem, two a block, one of each of the three shortcuts with weights."""
    told = [m.gathered for m in net(gathered=gathered).modules() if isinstance(m, GatheredBatchNorm)]
    assert [gathered] * 36 == told


def test_the_stems_gradient_is_exact():
    """In float32 over 100,000 pixels, where a sum over all of them at once loses a digit."""
    torch.manual_seed(0)
    model, features = net(), torch.randn(24, 40, 202)
    gradients = {}
    for precise in (False, True):
        dtype = torch.float64 if precise else torch.float32
        model.to(dtype).zero_grad()
        y = model._stem(features.to(dtype).unsqueeze(1))
        direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        (y * (direction - direction.mean(dim=(0, 2, 3), keepdim=True))).sum().backward()
        gradients[precise] = model.stem.weight.grad.double()
    assert (gradients[False] - gradients[True]).abs().max() <= 3e-6 * gradients[True].abs().max()


def test_an_utterance_has_the_same_bits_in_any_company():
    """Up to the last ReLU, with its training form and fixed statistics: so no ReLU's side depends on the company."""
    model, last = net(width=16), []
    model.blocks.register_forward_hook(lambda _blocks, _inputs, output: last.append(output))
    features = torch.randn(12, 40, 58, generator=torch.Generator().manual_seed(1))
    model(features)
    for module in model.modules():
        if isinstance(module, GatheredBatchNorm):
            module.eval()
    model(features)
    model(features[:5])
    assert torch.equal(last[1][:5], last[2])


@pytest.mark.parametrize("width", [4, 8, 16, 32])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("pooling", ["sap", "asp"])
def test_every_width_goes_forward_and_backward(width, autocast, pooling):
    """In float32 and under bf16 autocast: float32 embeddings, finite gradients everywhere, no crash."""
    model = net(width=width, pooling=pooling)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        embeddings = model(FEATURES)
    embeddings.square().sum().backward()
    assert ((4, 32), torch.float32) == (tuple(embeddings.shape), embeddings.dtype)
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize(("mels", "frames"), [(40, 58), (40, 59), (64, 41), (80, 40), (24, 8), (40, 2)])
def test_any_length_and_number_of_bins(mels, frames):
    """Odd sizes are rounded up while downsampling."""
    expected = (3, 32)
    assert expected == tuple(net(mels=mels)(torch.randn(3, mels, frames)).shape)


@pytest.mark.parametrize(("size", "stride"), [((6, 10), 2), ((5, 7), 2), ((5, 7), 1)])
def test_a_block_is_its_formula(size, stride):
    """relu(bn(shortcut) + gate * bn(conv(bn(relu(conv))))) with a strided 1x1 shortcut, in plain torch."""
    torch.manual_seed(0)
    block = Block(4, 8, stride=stride).double().eval()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    means = dict(zip((block.norm1, block.norm2, block.shortcut[1]), (0.3, -0.2, 0.1), strict=True))
    for layer, mean in means.items():
        # A mean that is not zero, or ReLU and norm could change places unseen.
        layer.running_mean.fill_(mean)

    def norm(y, layer):
        return (y - means[layer]) / (1 + 1e-5) ** 0.5

    y = norm(F.relu(F.conv2d(x, block.conv1.weight, stride=stride, padding=1)), block.norm1)
    y = norm(F.conv2d(y, block.conv2.weight, padding=1), block.norm2)
    first, _, second, _ = block.excitation
    gate = torch.sigmoid(second(F.relu(first(y.mean(dim=(2, 3))))))
    shortcut = norm(F.conv2d(x, block.shortcut[0].weight, stride=stride), block.shortcut[1])
    torch.testing.assert_close(block(x), F.relu(shortcut + y * gate[:, :, None, None]))


def test_the_stages_have_the_papers_sizes():
    """The stem halves frequency; stages 2 and 3 halve both axes; the last stage keeps its size: 3, 4, 6, 3 blocks."""
    model, sizes = net(width=16), []
    for block in model.blocks:
        block.register_forward_hook(lambda _block, _inputs, output: sizes.append(tuple(output.shape[1:])))
    model(torch.randn(2, 40, 202))
    expected = [(16, 20, 202)] * 3 + [(32, 10, 101)] * 4 + [(64, 5, 51)] * 6 + [(128, 5, 51)] * 3
    assert expected == sizes


def test_a_block_keeping_its_size_has_no_shortcut_weights():
    """Only a change of channels or size needs them."""
    assert isinstance(Block(8, 8, stride=1).shortcut, nn.Identity)
    assert not isinstance(Block(4, 8, stride=1).shortcut, nn.Identity)


def test_memory_layout_does_not_change_the_result():
    """Channels-last is an arrangement, not another function."""
    model = net().double()
    expected = model(FEATURES.double())
    actual = model.to(memory_format=torch.contiguous_format)(FEATURES.double())
    torch.testing.assert_close(actual, expected)


def test_evaluation_does_not_depend_on_the_batch():
    """An utterance alone has the embedding it has among others."""
    model = net()
    model(FEATURES)
    model.eval()
    torch.testing.assert_close(model(FEATURES[:1]), model(FEATURES)[:1])


def test_bf16_points_where_float32_points():
    """Lower precision turns an embedding by little (it is not the same, so float32 is the default)."""
    model = net(width=8).eval()
    expected = model(FEATURES)
    with torch.autocast("cpu", torch.bfloat16):
        actual = model(FEATURES)
    assert (F.cosine_similarity(expected, actual) > 0.99).all()


def test_the_same_seed_gives_the_same_weights():
    """Initial weights come from torch's generator alone."""
    first, second = net().state_dict(), net().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("shape", [(4, 39, 50), (4, 1, 40, 50), (40, 50)])
def test_other_features_are_refused(shape):
    """The number of mel bins is the net's."""
    with pytest.raises(ValueError, match=r"\(batch, 40 mel bins, frames\), but got shape \("):
        net()(torch.zeros(shape))
