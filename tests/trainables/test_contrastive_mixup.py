"""The trainable: what is mixed, what is learnt, how dev is scored, and that the number of workers does not matter."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables import embedding
from trainables.augmentation import augment, plan_augmentation
from trainables.batches import PlanError
from trainables.contrastive_mixup import require_plan, stand_in, steps_of_epoch
from trainables.corpora.roles import parse_source
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs
from trainables.losses import angular_prototypical_loss, contrastive_mixup_loss
from trainables.metrics import equal_error_rate, minimum_detection_cost

LOSSES = ["ap", "ce_mixup", "contrastive_mixup"]
CASES = [*LOSSES, "all, waveform", "all, log_mel"]


def first_batch(task, epoch=1):
    return next(iter(task.batches(epoch)))


@pytest.mark.parametrize(
    "knobs",
    [
        *({"loss": loss} for loss in LOSSES),
        {"mixup_level": "log_mel"},
        {"precision": "bf16"},
        {"batch_utterances": 3},
        {"pooling": "asp", "partner": "derangement", "augmentation": True},
    ],
    ids=str,
)
def test_the_loss_falls_on_one_batch(make_task, knobs):
    """Thirty steps on the same batch bring the loss well under that of the untrained net."""
    batch_speakers = 2 if "batch_utterances" in knobs else 4
    task = make_task(**knobs, learning_rate=3e-3, beta_alpha=0.1, batch_speakers=batch_speakers)
    batch = replace(first_batch(task), ratio=0.9)
    optimizer, _ = task.optimizer()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = task.module(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[0] > math.log(batch_speakers) / 2
    assert losses[-1] < 0.75 * losses[0]


def test_a_task_is_drawn_from_its_seed(make_task):
    """The same seed gives the same weights and batches whatever was drawn before, and leaves torch's stream alone."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one = make_task(seed=4)

    assert torch.equal(expected, torch.rand(3))
    other, third = make_task(seed=4), make_task(seed=5)
    same = zip(one.module.state_dict().values(), other.module.state_dict().values(), strict=True)

    assert all(torch.equal(a, b) for a, b in same)
    assert torch.equal(first_batch(one).utterances_SUT, first_batch(other).utterances_SUT)
    assert not torch.equal(one.module.net.stem.weight, third.module.net.stem.weight)
    assert not torch.equal(first_batch(one).utterances_SUT, first_batch(third).utterances_SUT)


def test_only_queries_are_mixed(make_task):
    """The loss is that of the equations: prototypes of unmixed crops, queries mixed with the partner's query."""
    task = make_task(volume="none")
    module = task.module.eval()
    batch = replace(first_batch(task), ratio=0.7)
    partner_S = batch.partner_G
    queries_ST = batch.utterances_SUT[:, -1].float()
    mixed_ST = 0.7 * queries_ST + 0.3 * queries_ST[partner_S]

    assert torch.equal(batch.partners_ST, batch.utterances_SUT[partner_S, -1])
    expected = contrastive_mixup_loss(
        queries_SD=module.embed(mixed_ST),
        prototypes_SD=module.embed(batch.utterances_SUT[:, 0]),
        partner_S=partner_S,
        ratio=0.7,
        scale=10.0,
        bias=-5.0,
    )

    torch.testing.assert_close(module(batch), expected)


@pytest.mark.parametrize("mixup_level", ["waveform", "log_mel"])
def test_prototypes_reach_the_net_as_they_are(make_task, mixup_level):
    """Bit for bit the features they have without mixing; every query that has a partner is another one."""
    task = make_task(mixup_level=mixup_level, partner="derangement")
    heard = []
    task.module.net.register_forward_pre_hook(lambda _, arguments: heard.append(arguments[0]))
    batch = first_batch(task)
    for ratio in (1.0, 0.6):
        task.module(replace(batch, ratio=ratio))
    (plain_BFT, mixed_BFT), own = heard, len(batch.utterances_SUT)

    assert torch.equal(plain_BFT[:own], mixed_BFT[:own])
    assert all(not torch.equal(a, b) for a, b in zip(plain_BFT[own:], mixed_BFT[own:], strict=True))


@pytest.mark.parametrize("mixup_level", ["waveform", "log_mel"])
@pytest.mark.parametrize(("gain", "within"), [(4.0, 1e-6), (0.25, 1e-5)])
def test_a_gain_common_to_all_crops_changes_nothing(make_task, mixup_level, gain, within):
    """But for the floor of 1e-6 under the logarithm, which a quieter crop is nearer to."""
    task = make_task(mixup_level=mixup_level)
    task.module.double().eval()
    batch = replace(first_batch(task), ratio=0.6)
    louder = replace(
        batch, utterances_SUT=batch.utterances_SUT.double() * gain, partners_ST=batch.partners_ST.double() * gain
    )

    assert task.module(batch).item() == pytest.approx(task.module(louder).item(), rel=within)


@pytest.mark.parametrize("pooling", ["sap", "asp"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_all_parameters_are_the_numerical_ones(make_task, loss, pooling):
    """The whole of it, batch norm and pooling included: in float64, along a random direction of all parameters."""
    torch.manual_seed(0)
    task = make_task(loss=loss, pooling=pooling)
    module = task.module.double()
    batch = replace(first_batch(task), ratio=0.6)
    parameters = list(module.parameters())
    # Steps so small that no ReLU's input changes its sign.
    spreads = [p.detach().std(correction=0) for p in parameters]
    # Scale, bias and batch norm start with one value each: theirs is a step of a fixed size.
    directions = [1e-7 * (s if s > 0 else 1.0) * torch.randn_like(p) for p, s in zip(parameters, spreads, strict=True)]
    assert all((direction != 0).all() for direction in directions)
    module(batch).backward()
    slope = sum((p.grad * direction).sum() for p, direction in zip(parameters, directions, strict=True)).item()
    values = []
    for step in (1, -2):
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=step)
            values.append(module(batch).item())

    assert abs(slope) > 1e-9
    assert slope == pytest.approx((values[0] - values[1]) / 2, rel=1e-6)


def test_utterances_are_augmented_before_they_are_mixed(make_task, splits):
    """The whole batch by the plan of (seed, epoch, batch); then the partner's level is matched, then it is mixed."""
    task, plain = (make_task(seed=1, augmentation=augmentation, beta_alpha=0.6) for augmentation in (True, False))
    module = task.module.eval()
    for number, (batch, raw) in enumerate(zip(task.batches(2), plain.batches(2), strict=True)):
        plan = plan_augmentation(seed=1, epoch=2, batch=number, num_crops=8, bank=splits.bank)
        heard_SUT = augment(raw.utterances_SUT.flatten(0, 1), plan=plan, bank=splits.bank).unflatten(0, (4, 2))
        partners_ST = heard_SUT[raw.partner_G, -1]

        assert torch.float32 == batch.utterances_SUT.dtype
        assert torch.equal(heard_SUT, batch.utterances_SUT)
        assert torch.equal(partners_ST, batch.partners_ST)
        assert not torch.equal(raw.utterances_SUT.float(), batch.utterances_SUT)
        queries_ST = heard_SUT[:, -1]
        gain_S1 = queries_ST.norm(dim=1, keepdim=True) / partners_ST.norm(dim=1, keepdim=True)
        expected = contrastive_mixup_loss(
            queries_SD=module.embed(batch.ratio * queries_ST + (1 - batch.ratio) * gain_S1 * partners_ST),
            prototypes_SD=module.embed(heard_SUT[:, 0]),
            partner_S=raw.partner_G,
            ratio=batch.ratio,
            scale=10.0,
            bias=-5.0,
        )
        torch.testing.assert_close(module(batch), expected)
    assert 1 == number


def test_what_is_scored_is_never_augmented(make_task):
    """Dev is what it is."""
    assert make_task().evaluate() == make_task(augmentation=True).evaluate()


def test_augmentation_needs_a_bank(make_task, splits):
    """That a study has one is checked when it is read."""
    with pytest.raises(AssertionError, match="the roles noise and rooms"):
        make_task.func(replace(splits, bank=None), augmentation=True)


def test_an_epoch_has_the_steps_of_its_passes(make_task, splits):
    """What is planned for is what is done."""
    for passes in (1, 3):
        task = make_task(passes=passes)
        steps = sum(1 for _ in task.batches(1))

        assert 2 * passes == steps == steps_of_epoch(task._config, splits.train.table)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_worker_has_no_other_negatives_than_its_own(make_task, loss):
    """Gathered or local, one worker trains on the same."""
    gathered, local = (make_task(loss=loss, negatives=negatives) for negatives in ("gather", "local"))

    assert gathered.module(first_batch(gathered)).item() == local.module(first_batch(local)).item()


def test_the_level_of_the_partner_is_matched(make_task):
    """With volume "rms" a partner recorded ten times louder makes the same loss; without, another."""
    for volume, same in (("rms", True), ("peak", True), ("none", False)):
        task = make_task(volume=volume)
        module = task.module.eval()
        batch = replace(first_batch(task), ratio=0.5)
        louder = replace(batch, partners_ST=batch.partners_ST.float() * 10)

        assert same == torch.allclose(module(batch), module(louder), rtol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_mixing_all_losses_are_the_prototypical_one(make_task, loss):
    """α = 0 reads no partners and trains on equation 3."""
    task = make_task(loss=loss, beta_alpha=0.0)
    module = task.module.eval()
    batch = first_batch(task)
    embeddings_SUD = module.embed(batch.utterances_SUT.flatten(0, 1)).unflatten(0, (4, 2))

    assert batch.partners_ST is None
    assert 1.0 == batch.ratio
    torch.testing.assert_close(
        module(batch), angular_prototypical_loss(embeddings_SUD=embeddings_SUD, scale=10.0, bias=-5.0)
    )


@pytest.mark.parametrize("mixup_level", ["waveform", "log_mel"])
def test_silence_is_not_mixed_and_keeps_its_label(make_task, mixup_level):
    """A query whose partner is silent is trained on as it is, towards its own speaker alone."""
    task = make_task(mixup_level=mixup_level)
    module = task.module.eval()
    batch = replace(first_batch(task), ratio=0.6)
    silent = replace(batch, partners_ST=torch.zeros_like(batch.partners_ST))
    unmixed = replace(batch, ratio=1.0)

    torch.testing.assert_close(module(silent), module(unmixed))


def test_a_silent_corpus_gives_finite_gradients(silent_splits, make_task):
    """Crops of zeros are no reason for NaN."""
    task = make_task.func(silent_splits)
    loss = task.module(first_batch(task))
    loss.backward()

    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in task.module.parameters())


def test_the_scale_stays_positive(make_task):
    """What an optimizer step takes below zero comes back to 1e-6."""
    task = make_task()
    with torch.no_grad():
        task.module.scale.fill_(-3.0)
    task.after_step()

    assert 1e-6 == pytest.approx(task.module.scale.item())
    assert task.module.scale.requires_grad


def test_the_learning_rate_decays_by_epochs(make_task):
    """lr * decay ** (epochs done // decay epochs), as the paper's StepLR."""
    optimizer, scheduler = make_task(learning_rate=0.01, lr_decay=0.5, lr_decay_epochs=3).optimizer()
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()

    assert [0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025] == pytest.approx(rates)


def test_dev_metrics_are_those_of_the_scores(make_task):
    """What is stored gives the same EER and minDCF again; all trials of dev are there, rightly labelled."""
    task = make_task()
    metrics = task.evaluate()
    table = task.scores()
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    labels = columns["label"].astype(bool)
    scores = columns["score"].astype(np.float32)

    assert 4 * 10 + 6 * 25 == table.num_rows
    assert {"dev"} == set(columns["split"])
    assert [a[:3] == b[:3] for a, b in zip(columns["left"], columns["right"], strict=True)] == labels.tolist()
    assert metrics == {
        "eer": equal_error_rate(scores=scores, labels=labels),
        "min_dcf": minimum_detection_cost(scores=scores, labels=labels),
    }


def test_given_trials_reach_the_scores_unchanged(make_task, splits):
    """Order, number, doubles and labels of the list; metrics of the stored scores; dev rows stay what they were."""
    task = make_task()
    task.evaluate()
    dev = task.scores()
    metrics = task.test()
    table = task.scores()
    test = table.slice(len(dev))
    names = splits.test.table["utterance"].to_pylist()
    pairs = splits.trials
    scores, labels = np.array(test["score"], dtype=np.float32), np.array(test["label"], dtype=bool)

    assert dev.equals(table.slice(0, len(dev)))
    assert {"test"} == set(test["split"].to_pylist())
    assert [names[i] for i in pairs.left] == test["left"].to_pylist()
    assert [names[i] for i in pairs.right] == test["right"].to_pylist()
    assert pairs.label.tolist() == labels.tolist()
    assert metrics == {
        "eer": equal_error_rate(scores=scores, labels=labels),
        "min_dcf": minimum_detection_cost(scores=scores, labels=labels),
    }
    task.evaluate()

    assert dev.equals(task.scores())


def test_test_is_scored_as_dev_is(make_task, splits):
    """The dev utterances as a test set give the metrics and scores of dev; utterances in no trial are not read."""
    pairs = trial_pairs(splits.dev)
    few = pairs.left + pairs.right < 17
    some = TrialPairs(left=pairs.left[few], right=pairs.right[few], label=pairs.label[few])
    task = make_task.func(replace(splits, test=splits.dev, trials=pairs))
    metrics = task.evaluate()

    assert metrics == task.test()
    scores = task.scores()["score"].to_pylist()

    assert scores[: len(pairs)] == scores[len(pairs) :]
    task = make_task.func(replace(splits, test=splits.dev, trials=some))
    task.test()
    read = {*some.left.tolist(), *some.right.tolist()}

    assert len(read) < len(splits.dev)
    assert sum(splits.dev.table["num_samples"].to_pylist()[row] for row in read) * 2 == task._audio["test"].used_bytes


def test_embeddings_come_in_pieces_of_any_size(make_task, monkeypatch):
    """What bounds the memory does not change a score."""
    whole, pieces = make_task(), make_task()
    whole.evaluate()
    monkeypatch.setattr(embedding, "CROPS_GATHERED", embedding.CROPS_AT_ONCE)
    pieces.evaluate()

    assert whole._dev_crops.utterance_C.size > embedding.CROPS_AT_ONCE
    assert whole.scores().equals(pieces.scores())


def test_an_evaluation_changes_nothing(make_task):
    """Evaluating twice, or in the middle of training, leaves the net, its mode and its statistics as they were."""
    task = make_task()
    task.module.train()
    before = {name: value.clone() for name, value in task.module.state_dict().items()}

    assert task.evaluate() == task.evaluate()
    assert task.module.training
    assert all(torch.equal(value, before[name]) for name, value in task.module.state_dict().items())


def test_a_score_is_the_mean_cosine_of_crops(make_task, splits):
    """One pair by hand: embeddings of its crops, one at a time."""
    task = make_task(eval_crops=2)
    task.evaluate()
    left, right, *_ = (task.scores()[name][0].as_py() for name in ("left", "right"))
    score = task.scores()["score"][0].as_py()
    module = task.module.eval()
    names = splits.dev.table["utterance"].to_pylist()
    cosines = []
    with torch.no_grad():
        sides = []
        for name in (left, right):
            wave = splits.dev.sources[0].waveform(
                path=None, index=splits.dev.table["index"][names.index(name)].as_py(), sample_rate=16_000
            )
            crops = [np.resize(wave, 8000)] if len(wave) <= 8000 else [wave[:8000], wave[-8000:]]
            sides.append([module.embed(torch.from_numpy(crop)[None]) for crop in crops])
        cosines = [torch.nn.functional.cosine_similarity(a, b).item() for a in sides[0] for b in sides[1]]

    assert np.mean(cosines) == pytest.approx(score, abs=1e-5)


def test_a_spoilt_net_has_no_metrics(make_task):
    """Embeddings that are not finite give NaN, which the loop calls divergence, and not an error of the metric."""
    task = make_task()
    with torch.no_grad():
        task.module.net.embedding.bias.fill_(float("nan"))

    assert all(math.isnan(value) for value in task.evaluate().values())


def test_bfloat16_keeps_loss_and_weights_in_float32(make_task):
    """Only the net's arithmetic changes."""
    task = make_task(precision="bf16")
    batch = first_batch(task)
    loss = task.module(batch)
    loss.backward()
    exact = make_task().module(batch)

    assert torch.float32 == loss.dtype
    assert {torch.float32} == {p.grad.dtype for p in task.module.parameters()}
    assert torch.float32 == task.module.embed(batch.utterances_SUT[:, 0]).dtype
    assert loss.item() != exact.item()
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)


@pytest.mark.parametrize("pooling", ["sap", "asp"])
def test_bfloat16_is_for_convolutions_alone(make_task, pooling):
    """Features come in float32, and pooling, embedding and loss are float32 again."""
    task = make_task(precision="bf16", pooling=pooling)
    net, seen = task.module.net, {}
    for name in ("stem", "blocks.0.conv1", "pooling", "embedding"):

        def remember(_module, arguments, result, name=name):
            seen[name] = (arguments[0].dtype, result.dtype)

        net.get_submodule(name).register_forward_hook(remember)
    task.module(first_batch(task))

    single, half = torch.float32, torch.bfloat16
    assert (single, half) == seen["stem"]
    assert (half, half) == seen["blocks.0.conv1"]
    assert (single, single) == seen["pooling"] == seen["embedding"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("width", [4, 8])
def test_all_parameters_are_trained(make_task, width, loss):
    """Data parallelism waits for the gradient of every parameter: none may be left out."""
    task = make_task(width=width, loss=loss)
    task.module(first_batch(task)).backward()

    assert all(p.grad is not None for p in task.module.parameters())


def test_what_cannot_be_built_says_why(make_task, splits):
    """More speakers asked for than there are: when the trial is built, and before that, when its run begins."""
    with pytest.raises(PlanError, match="batch_speakers=9 and 8 speakers"):
        make_task(batch_speakers=9)
    with pytest.raises(PlanError, match="batch_speakers=9 and 8 speakers"):
        require_plan(ContrastiveMixup(batch_speakers=9), splits.train.table)
    require_plan(ContrastiveMixup(batch_speakers=8), splits.train.table)


def test_a_step_is_measured_without_the_plan_of_a_whole_epoch():
    """However many passes or steps an epoch has, what stands in for it is planned once, with one pass."""
    few, voices = stand_in(ContrastiveMixup())

    assert (few, voices) == stand_in(ContrastiveMixup(passes=40)) == stand_in(ContrastiveMixup(epoch_steps=5000))
    assert (1, 0) == (few.passes, few.epoch_steps)


@pytest.mark.parametrize(("crop_s", "eval_crop_s"), [(60.0, 60.0), (0.2, 60.0), (60.0, 0.2), (58.5, 59.3)])
def test_a_step_of_the_longest_crops_can_be_measured(crop_s, eval_crop_s):
    """There are voices that long, each longer than a crop of it."""
    few, voices = stand_in(ContrastiveMixup(crop_s=crop_s, eval_crop_s=eval_crop_s))
    seconds = parse_source(voices).options.seconds[0]

    assert max(few.crop_s, few.eval_crop_s) < seconds
    assert (crop_s, eval_crop_s) == pytest.approx((few.crop_s, few.eval_crop_s), rel=0.02)


def test_speakers_without_a_pair_are_told(make_task, capsys):
    """Never left out in silence."""
    make_task(batch_utterances=4, batch_speakers=2)

    assert "6 train speakers are left out: fewer than 4 utterances" in capsys.readouterr().out


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank saved: {(size, rank): results}; see trial_ranks.py."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).parent / "trial_ranks.py"
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    places = [(1, 0), (2, 0), (2, 1)]
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(size), folder], env=environment, stderr=subprocess.PIPE
        )
        for size, rank in places
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in running:
            process.kill()
    return {(size, rank): torch.load(folder / f"{size}-{rank}.pt") for size, rank in places}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_workers_train_as_one(ranks, case, rank):
    """In float64 losses and weights over Adam's steps, 20 of the cases with everything switched on, agree to 1e-8."""
    (one, _), (two, _) = ranks[1, 0][case], ranks[2, rank][case]

    assert (3 if case in LOSSES else 20) == len(two["losses"])
    assert one["losses"] == pytest.approx(two["losses"], rel=1e-8)
    assert_same(one["gradients"], two["gradients"], within=1e-8)
    assert_same(one["weights"], two["weights"], within=1e-8)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_workers_start_as_one_in_float32(ranks, case, rank):
    """The first step's gradients, whose rounding was not yet multiplied by Adam."""
    (_, one), (_, two) = ranks[1, 0][case], ranks[2, rank][case]

    assert one["losses"] == pytest.approx(two["losses"], rel=1e-5)
    assert_same(one["gradients"], two["gradients"], within=1e-5)


@pytest.mark.parametrize("rank", [0, 1])
def test_local_negatives_are_those_of_a_share(ranks, rank):
    """Two workers equal a slow loop over the shares, one net each, over 6 steps; so do weights, statistics, scores."""
    one, two = ranks[1, 0]["local"], ranks[2, rank]["local"]

    assert 6 == len(two["losses"])
    assert one["losses"] == pytest.approx(two["losses"], rel=1e-8)
    assert_same(one["gradients"], two["gradients"], within=1e-8)
    assert_same(one["weights"], two["weights"], within=1e-8)
    assert one["scores"] == pytest.approx(two["scores"], abs=1e-6)
    assert ranks[2, 1 - rank]["local"]["scores"] == two["scores"]


def test_local_negatives_are_others(ranks):
    """Of four speakers a share has two: log 2 of an untrained net instead of log 4."""
    local, (gathered, _) = ranks[2, 0]["local"], ranks[2, 0]["all, waveform"]

    assert math.log(2) == pytest.approx(local["losses"][0], rel=0.1)
    assert math.log(4) == pytest.approx(gathered["losses"][0], rel=0.1)


@pytest.mark.parametrize("case", ["all, waveform", "all, log_mel"])
def test_two_workers_cut_the_gradient_of_the_whole_batch(ranks, case):
    """To the largest norm that was set: the comparisons above are of gradients that were cut."""
    norms = [torch.stack([g.norm() for g in ranks[size, 0][case][0]["gradients"].values()]).norm() for size in (1, 2)]

    assert [0.5, 0.5] == pytest.approx([norm.item() for norm in norms], rel=1e-4)


def assert_same(expected, actual, *, within):
    """Tensors of the same names, equal to a fraction of the largest value among them."""
    assert expected.keys() == actual.keys()
    largest = max(tensor.abs().max().item() for tensor in expected.values())
    for name, tensor in expected.items():
        torch.testing.assert_close(
            actual[name], tensor, rtol=0, atol=within * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("rank", [0, 1])
def test_two_workers_score_as_one(ranks, rank):
    """The same scores to the last bit, on every worker: the shares are whole chunks of crops."""
    assert ranks[1, 0]["scores"] == ranks[2, rank]["scores"]
    assert ranks[1, 0]["metrics"] == ranks[2, rank]["metrics"]
    assert ranks[1, 0]["test"] == ranks[2, rank]["test"]


@pytest.mark.parametrize("name", ["loop", "local loop"])
def test_two_workers_leave_together(ranks, name):
    """Stopped within an epoch and at a report, resumed, finished: both ranks do the same, rank 0 alone reports."""
    first, second = ranks[2, 0][name], ranks[2, 1][name]

    assert ["stopped", "stopped", "complete", "complete"] == first["outcomes"] == second["outcomes"]
    assert [0, 0, 1, 2, 3, 3] == [row["epoch"] for row in first["rows"]]
    assert [] == second["rows"]
    assert ["test" in row for row in first["rows"]] == [False] * 4 + [True] * 2
    assert first["rows"][4]["test"] == first["rows"][5]["test"]
    assert first["weights"].keys() == second["weights"].keys()
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())


@pytest.mark.parametrize("name", ["loop", "local loop"])
def test_two_workers_that_were_stopped_end_where_others_do(ranks, name):
    """To the last bit: weights, and the batch statistics that are scored with, of each worker's own share or not."""
    stopped, straight = ranks[2, 0][name], ranks[2, 0][f"{name}, straight"]

    assert ["complete"] == straight["outcomes"]
    assert stopped["rows"][-1]["metrics"] == straight["rows"][-1]["metrics"]
    assert stopped["rows"][-1]["test"] == straight["rows"][-1]["test"]
    for weights in (stopped["weights"], ranks[2, 1][name]["weights"]):
        assert all(torch.equal(value, straight["weights"][each]) for each, value in weights.items())


def test_two_workers_start_from_the_same_weights(ranks):
    """Rank 0 alone reads them; epoch 0 is the other trial's last; a misfit or a missing one fails on both alike."""
    for size in (1, 2):
        found = [ranks[size, rank]["initial"] for rank in range(size)]

        assert found[0]["expected"] == found[0]["metrics"]
        assert [1, 0][:size] == [each["reads"] for each in found]
        assert 1 == len({each["wide"] for each in found})
        assert "the weights to start from do not fit: " in found[0]["wide"]
        assert ["the weights to start from are missing: trial nobody has no checkpoint"] * size == [
            each["missing"] for each in found
        ]
