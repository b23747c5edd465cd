"""The losses against slow loops written from the equations, their limits, and cases worked by hand."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.losses import angular_prototypical_loss, ce_mixup_loss, contrastive_mixup_loss
from trainables.mixup import mix_waveforms

SPEAKERS, UTTERANCES, EMBEDDING = 5, 3, 4
MIXUPS = [contrastive_mixup_loss, ce_mixup_loss]


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def loop_logits(queries, prototypes, scale, bias):
    """Equation 2, entry by entry, in Python floats."""

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))

    return [[scale * cosine(q, c) + bias for c in prototypes.tolist()] for q in queries.tolist()]


def loop_ap(embeddings, scale, bias):
    """Equations 1 to 3."""
    speakers, utterances, _ = embeddings.shape
    prototypes = sum(embeddings[:, m] for m in range(utterances - 1)) / (utterances - 1)
    logits = loop_logits(embeddings[:, -1], prototypes, scale, bias)
    return -sum(math.log(math.exp(row[j]) / sum(map(math.exp, row))) for j, row in enumerate(logits)) / speakers


def loop_ce_mixup(queries, prototypes, partner, ratio, scale, bias):
    """Equation 6."""
    total = 0.0
    for j, row in enumerate(loop_logits(queries, prototypes, scale, bias)):
        below = sum(map(math.exp, row))
        total += ratio * math.log(math.exp(row[j]) / below)
        total += (1 - ratio) * math.log(math.exp(row[partner[j]]) / below)
    return -total / len(queries)


def loop_contrastive_mixup(queries, prototypes, partner, ratio, scale, bias):
    """Equations 7 and 8, the labels adding up."""
    total = 0.0
    for j, row in enumerate(loop_logits(queries, prototypes, scale, bias)):
        labels = [0.0] * len(row)
        labels[j] += ratio
        labels[partner[j]] += 1 - ratio
        above = sum(d * math.exp(s) for d, s in zip(labels, row, strict=True))
        total += math.log(above / sum(map(math.exp, row)))
    return -total / len(queries)


LOOPS = {contrastive_mixup_loss: loop_contrastive_mixup, ce_mixup_loss: loop_ce_mixup}


@st.composite
def mixtures(draw_from):
    """Arguments of the two mixups: any ratio, any partners, fixed points and repetitions among them."""
    speakers = draw_from(st.integers(1, 6))
    seed = draw_from(st.integers(0, 10_000))
    return {
        "queries_SD": draw(speakers, EMBEDDING, seed=seed),
        "prototypes_SD": draw(speakers, EMBEDDING, seed=seed + 1),
        "partner_S": torch.tensor(
            draw_from(st.lists(st.integers(0, speakers - 1), min_size=speakers, max_size=speakers))
        ),
        "ratio": draw_from(st.floats(0, 1)),
        "scale": draw_from(st.floats(0.1, 30)),
        "bias": draw_from(st.floats(-10, 10)),
    }


def as_loop(arguments):
    return [v.tolist() if k == "partner_S" else v for k, v in arguments.items()]


@pytest.mark.parametrize("utterances", [2, 3, 5])
def test_ap_is_equations_1_to_3(utterances):
    """The matrix form equals the loop over speakers, for any number of utterances in the prototype."""
    embeddings = draw(SPEAKERS, utterances, EMBEDDING)
    expected = loop_ap(embeddings, 10.0, -5.0)
    assert expected == pytest.approx(
        angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0).item(), rel=1e-12
    )


def test_ap_by_hand():
    """Two speakers with orthogonal embeddings: logits 2 and 0, so the loss is log(1 + e^-2)."""
    embeddings = torch.tensor([[[3.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 5.0]]], dtype=torch.float64)
    expected = math.log(1 + math.exp(-2))
    assert expected == pytest.approx(angular_prototypical_loss(embeddings_SUD=embeddings, scale=2.0, bias=7.0).item())


def test_the_prototype_is_the_mean_before_any_normalisation():
    """A long utterance weighs more: cos((1, 0), mean((9, 0), (0, 3))) = 3 / sqrt(10), not 1 / sqrt(2)."""
    first = [[9.0, 0.0], [0.0, 3.0], [1.0, 0.0]]
    second = [[0.0, -1.0], [0.0, -1.0], [0.0, -1.0]]
    embeddings = torch.tensor([first, second], dtype=torch.float64)
    own, other = 3 / math.sqrt(10), 0.0
    row_1 = math.log(math.exp(own) + math.exp(other)) - own
    own, other = 1.0, -1 / math.sqrt(10)
    row_2 = math.log(math.exp(own) + math.exp(other)) - own
    expected = (row_1 + row_2) / 2
    assert expected == pytest.approx(angular_prototypical_loss(embeddings_SUD=embeddings, scale=1.0, bias=0.0).item())


def test_the_last_utterance_is_the_query():
    """With three utterances a speaker, which of them comes last matters; the order of the others does not."""
    embeddings = draw(SPEAKERS, UTTERANCES, EMBEDDING)
    loss = partial(angular_prototypical_loss, scale=10.0, bias=-5.0)
    expected = loss(embeddings_SUD=embeddings)
    torch.testing.assert_close(loss(embeddings_SUD=embeddings[:, [1, 0, 2]]), expected)
    assert not torch.isclose(loss(embeddings_SUD=embeddings[:, [2, 1, 0]]), expected)


@pytest.mark.parametrize("loss", MIXUPS)
@given(arguments=mixtures())
@settings(max_examples=60, deadline=None)
def test_mixups_are_their_equations(loss, arguments):
    """Equations 6 and 7 equal their loops for any ratio and any partners."""
    expected = LOOPS[loss](*as_loop(arguments))
    assert expected == pytest.approx(loss(**arguments).item(), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize(
    ("ratio", "partner", "contrastive", "ce"),
    [
        # Logits are [[ln 3, 0], [0, ln 3]]: the own speaker has 3/4 of the softmax, the other 1/4.
        (1.0, [1, 0], -math.log(3 / 4), -math.log(3 / 4)),
        (0.0, [1, 0], -math.log(1 / 4), -math.log(1 / 4)),
        (0.5, [1, 0], -math.log(1 / 2), -0.5 * math.log(3 / 16)),
        (0.25, [0, 1], -math.log(3 / 4), -math.log(3 / 4)),
        # Both are mixed with speaker 0, who is his own partner there: rows 3/4, and 1/2 * 1/4 + 1/2 * 3/4.
        (0.5, [0, 0], -0.5 * math.log(3 / 8), -0.5 * math.log(3 / 4) - 0.25 * math.log(3 / 16)),
    ],
)
def test_mixups_by_hand(ratio, partner, contrastive, ce):
    """Two speakers, worked on paper."""
    arguments = {
        "queries_SD": torch.eye(2, dtype=torch.float64),
        "prototypes_SD": torch.eye(2, dtype=torch.float64),
        "partner_S": torch.tensor(partner),
        "ratio": ratio,
        "scale": math.log(3),
        "bias": -1.0,
    }
    assert contrastive == pytest.approx(contrastive_mixup_loss(**arguments).item(), rel=1e-12)
    assert ce == pytest.approx(ce_mixup_loss(**arguments).item(), rel=1e-12)


@pytest.mark.parametrize("loss", MIXUPS)
@given(arguments=mixtures(), case=st.sampled_from(["all own", "own partner"]))
@settings(max_examples=40, deadline=None)
def test_mixups_become_ap(loss, arguments, case):
    """Ratio 1, or everybody his own partner at any ratio, gives the AP loss."""
    if case == "all own":
        arguments["ratio"] = 1.0
    else:
        arguments["partner_S"] = torch.arange(len(arguments["partner_S"]))
    embeddings = torch.stack([arguments["prototypes_SD"], arguments["queries_SD"]], dim=1)
    expected = angular_prototypical_loss(embeddings_SUD=embeddings, scale=arguments["scale"], bias=arguments["bias"])
    torch.testing.assert_close(loss(**arguments), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", MIXUPS)
def test_ratio_0_is_ap_of_the_partners(loss):
    """Nothing of the own speaker left: the prototypes in the partners' order."""
    queries, prototypes, partner = draw(4, 3), draw(4, 3, seed=1), torch.tensor([2, 0, 3, 1])
    expected = angular_prototypical_loss(
        embeddings_SUD=torch.stack([prototypes[partner], queries], dim=1), scale=10.0, bias=-5.0
    )
    actual = loss(queries_SD=queries, prototypes_SD=prototypes, partner_S=partner, ratio=0.0, scale=10.0, bias=-5.0)
    torch.testing.assert_close(actual, expected)


@given(arguments=mixtures())
@settings(max_examples=60, deadline=None)
def test_contrastive_mixup_is_at_most_ce_mixup(arguments):
    """The logarithm is concave: equation 7 never exceeds equation 6, and equals it for ratio 0 and 1."""
    slack = 1e-12 * (1 + ce_mixup_loss(**arguments).abs().item())
    assert contrastive_mixup_loss(**arguments).item() <= ce_mixup_loss(**arguments).item() + slack
    for ratio in (0.0, 1.0):
        same = arguments | {"ratio": ratio}
        torch.testing.assert_close(contrastive_mixup_loss(**same), ce_mixup_loss(**same), rtol=1e-14, atol=1e-14)


@given(arguments=mixtures(), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_mixups_do_not_see_the_order_of_the_speakers(arguments, seed):
    """Renaming the speakers, partners included, changes no loss."""
    order = torch.randperm(len(arguments["partner_S"]), generator=torch.Generator().manual_seed(seed))
    renamed = arguments | {
        "queries_SD": arguments["queries_SD"][order],
        "prototypes_SD": arguments["prototypes_SD"][order],
        "partner_S": order.argsort()[arguments["partner_S"][order]],
    }
    for loss in MIXUPS:
        torch.testing.assert_close(loss(**renamed), loss(**arguments), rtol=1e-10, atol=1e-12)


def test_ap_gradient_is_the_numerical_one():
    """Embeddings, scale and bias are differentiable."""
    embeddings = draw(4, 3, 3).requires_grad_()
    scale, bias = torch.tensor(3.0, dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    inputs = (embeddings, scale.requires_grad_(), bias.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda e, w, b: angular_prototypical_loss(embeddings_SUD=e, scale=w, bias=b), inputs
    )


@pytest.mark.parametrize("loss", MIXUPS)
@pytest.mark.parametrize("ratio", [0.0, 1e-12, 0.3, 1.0])
def test_mixup_gradients_are_the_numerical_ones(loss, ratio):
    """Queries, prototypes, scale and bias are differentiable, a fixed point among the partners."""
    partner = torch.tensor([1, 0, 2, 1])
    inputs = [
        draw(4, 3),
        draw(4, 3, seed=1),
        torch.tensor(3.0, dtype=torch.float64),
        torch.zeros((), dtype=torch.float64),
    ]

    def function(queries, prototypes, scale, bias):
        return loss(
            queries_SD=queries, prototypes_SD=prototypes, partner_S=partner, ratio=ratio, scale=scale, bias=bias
        )

    assert torch.autograd.gradcheck(function, [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("loss", MIXUPS)
@pytest.mark.parametrize("volume", ["rms", "peak", "none"])
def test_gradients_through_mixing_are_the_numerical_ones(loss, volume):
    """From the loss to the waveforms that were mixed, to those of the prototypes, and to the net between them."""
    partner = torch.tensor([1, 2, 0, 3])

    def function(queries_ST, prototypes_ST, weights_TD):
        mixed_ST = mix_waveforms(waveforms_ST=queries_ST, partners_ST=queries_ST[partner], ratio=0.3, volume=volume)
        return loss(
            queries_SD=torch.tanh(mixed_ST @ weights_TD),
            prototypes_SD=torch.tanh(prototypes_ST @ weights_TD),
            partner_S=partner,
            ratio=0.3,
            scale=10.0,
            bias=-5.0,
        )

    inputs = draw(4, 6), draw(4, 6, seed=1), draw(6, 3, seed=2)
    assert torch.autograd.gradcheck(function, [x.requires_grad_() for x in inputs])


def test_contrastive_mixup_gradient_sharpens_itself():
    """d loss / d logits = (softmax - r) / S with r proportional to d * exp(logits) (methods of equation 7)."""
    queries = draw(3, 3)
    partner, ratio = torch.tensor([1, 2, 0]), 0.3
    # Scale 1 and prototypes along the axes: the logits are the entries of the unit queries.
    unit = (queries / queries.norm(dim=1, keepdim=True)).requires_grad_()
    labels = ratio * torch.eye(3, dtype=torch.float64)
    labels[torch.arange(3), partner] += 1 - ratio
    shares = labels * unit.detach().exp()
    wanted = (unit.detach().softmax(dim=1) - shares / shares.sum(dim=1, keepdim=True)) / 3
    # The unit sphere: the radial part of the gradient is lost.
    expected = wanted - (wanted * unit.detach()).sum(dim=1, keepdim=True) * unit.detach()
    loss = contrastive_mixup_loss(
        queries_SD=unit,
        prototypes_SD=torch.eye(3, dtype=torch.float64),
        partner_S=partner,
        ratio=ratio,
        scale=1.0,
        bias=0.0,
    )
    loss.backward()
    torch.testing.assert_close(unit.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ratio", [0.0, 1e-30, 0.5, 1.0 - 1e-16, 1.0])
@pytest.mark.parametrize("scale", [1e-6, 1e4, 1e30])
def test_extreme_logits_stay_finite(dtype, ratio, scale):
    """No log(0), no overflow: values and gradients are finite, opposite vectors and equal ones included."""
    queries = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=dtype).requires_grad_()
    prototypes = torch.tensor([[-1.0, 0.0], [-1.0, 0.0], [1e-6, 1.0]], dtype=dtype).requires_grad_()
    weight, offset = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (scale, -5.0))
    arguments = {"queries_SD": queries, "prototypes_SD": prototypes, "scale": weight, "bias": offset}
    losses = [loss(**arguments, partner_S=torch.tensor([1, 0, 2]), ratio=ratio) for loss in MIXUPS]
    losses.append(
        angular_prototypical_loss(embeddings_SUD=torch.stack([prototypes, queries], 1), scale=weight, bias=offset)
    )
    for loss in losses:
        gradients = torch.autograd.grad(loss, [queries, prototypes, weight, offset], retain_graph=True)
        assert all(bool(x.isfinite().all()) for x in (loss, *gradients))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_embeddings_have_cosine_0_and_no_gradient(dtype):
    """A dead net tells nothing apart: log(speakers), not NaN; the gradient of a zero vector is zero."""
    embeddings = torch.zeros(3, 2, 4, dtype=dtype, requires_grad=True)
    loss = angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0)
    loss.backward()
    assert math.log(3) == pytest.approx(loss.item())
    assert torch.zeros(3, 2, 4, dtype=dtype).tolist() == embeddings.grad.tolist()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("utterance", [0, 1], ids=["prototype", "query"])
def test_a_spoilt_embedding_spoils_the_loss(value, utterance):
    """One number that is not finite is seen in each of the losses: it must not pass for a vector of zero length."""
    embeddings = draw(3, 2, 4)
    embeddings[1, utterance, 2] = value
    mixtures = {"queries_SD": embeddings[:, 1], "prototypes_SD": embeddings[:, 0], "scale": 10.0, "bias": -5.0}
    partner = torch.tensor([1, 2, 0])
    losses = [loss(**mixtures, partner_S=partner, ratio=0.3) for loss in MIXUPS]
    losses.append(angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0))
    assert [True] * 3 == [math.isnan(loss.item()) for loss in losses]


@given(exponent=st.integers(-12, 12), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_lengths_do_not_matter(exponent, seed):
    """With one utterance in the prototype, embeddings of any length give the same loss."""
    embeddings = draw(4, 2, 5, seed=seed, dtype=torch.float32)
    loss = partial(angular_prototypical_loss, scale=10.0, bias=-5.0)
    torch.testing.assert_close(loss(embeddings_SUD=embeddings * 10.0**exponent), loss(embeddings_SUD=embeddings))


class BytesWritten(TorchDispatchMode):
    """Adds up the size of every tensor that an operation returns: more than is ever held at once."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        self.total += sum(x.nbytes for x in torch.utils._pytree.tree_leaves(result) if isinstance(x, torch.Tensor))
        return result


def test_the_papers_batch_needs_little_memory():
    """400 speakers, forward and backward: all tensors ever written are under 64 MB (speakers x D x speakers is 328)."""
    embeddings = draw(400, 2, 512, dtype=torch.float32).requires_grad_()
    with BytesWritten() as counted:
        angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0).backward()
    assert 1e6 < counted.total < 64e6


def test_dtype_is_kept_also_under_autocast():
    """float32 stays float32, float64 stays float64, and autocast does not round the logits."""
    for dtype in (torch.float32, torch.float64):
        embeddings = draw(SPEAKERS, 2, EMBEDDING, dtype=dtype)
        expected = angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0)
        with torch.autocast("cpu", torch.bfloat16):
            actual = angular_prototypical_loss(embeddings_SUD=embeddings, scale=10.0, bias=-5.0)
        assert (dtype, expected.item()) == (actual.dtype, actual.item())


@pytest.mark.parametrize("embeddings", [torch.zeros(3, 1, 4), torch.zeros(3, 4), torch.zeros(0, 2, 4)])
def test_ap_names_the_rule_and_the_shape(embeddings):
    """One utterance a speaker leaves no prototype."""
    with pytest.raises(ValueError, match=r"at least 1 speaker and 2 utterances.*got shape \(") as caught:
        angular_prototypical_loss(embeddings_SUD=embeddings, scale=1.0, bias=0.0)
    assert str(tuple(embeddings.shape)) in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_dtypes_are_refused(dtype):
    """Half precision would lose the differences between logits."""
    with pytest.raises(ValueError, match="must be float32 or float64, but got torch"):
        angular_prototypical_loss(embeddings_SUD=torch.zeros(2, 2, 2, dtype=dtype), scale=1.0, bias=0.0)


@pytest.mark.parametrize("loss", MIXUPS)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"partner_S": torch.tensor([0, 1, 3])}, r"0 <= partner < 3 .*partner_S goes from 0 to 3"),
        ({"partner_S": torch.tensor([0, -1, 2])}, r"0 <= partner < 3 .*partner_S goes from -1 to 2"),
        ({"partner_S": torch.tensor([0, 1])}, r"shape \(3,\), but got shape \(2,\)"),
        ({"partner_S": torch.tensor([0.0, 1.0, 2.0])}, r"one integer a speaker.*torch.float32"),
        ({"ratio": 1.5}, r"0 <= ratio <= 1 must hold, but got ratio=1.5"),
        ({"ratio": math.nan}, r"0 <= ratio <= 1 must hold, but got ratio=nan"),
        ({"prototypes_SD": torch.zeros(4, 2)}, r"of one shape.*got \(3, 2\) and \(4, 2\)"),
        ({"prototypes_SD": torch.zeros(3, 2, dtype=torch.float64)}, r"one dtype.*float32 and torch.float64"),
        ({"queries_SD": torch.zeros(3, 2, dtype=torch.bfloat16)}, r"queries_SD must be float32 or float64"),
    ],
)
def test_mixups_name_the_rule_and_the_values(loss, change, sentence):
    """Wrong arguments are refused in one sentence."""
    arguments = {
        "queries_SD": torch.zeros(3, 2),
        "prototypes_SD": torch.zeros(3, 2),
        "partner_S": torch.tensor([1, 2, 0]),
        "ratio": 0.5,
        "scale": 1.0,
        "bias": 0.0,
    }
    with pytest.raises(ValueError, match=sentence):
        loss(**arguments | change)
