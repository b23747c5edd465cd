"""A trained net at work: vectors whose dot product is the score, whatever they are embedded with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables import embedding
from trainables.corpora.splits import audio_caches
from trainables.embedding import build_net, embed_waveforms, plan_pairs, samples_of, score_trials

SMALL = ContrastiveMixup(width=4, embedding_size=16, mels=20, eval_crop_s=0.5, eval_crops=3)
CPU = torch.device("cpu")


def net(config=SMALL):
    """A net whose batch norms have seen something, so that crops are not all alike."""
    torch.manual_seed(0)
    module = build_net(config)
    module.train()
    for _ in range(5):
        module.embed(torch.randint(-3000, 3000, (8, 8000), dtype=torch.int16))
    return module.eval()


def scored(splits, module, config=SMALL):
    audio = audio_caches(splits)["test"]
    crops = plan_pairs(config, audio, splits.trials)
    return score_trials(module, config=config, audio=audio, pairs=splits.trials, crops=crops, device=CPU), audio


def test_the_dot_product_of_two_vectors_is_their_score(splits):
    """Utterances that are embedded a few at a time give the scores of the trials."""
    module = net()
    scores_P, audio = scored(splits, module)
    waveforms = [audio.waveform(row) for row in range(len(audio.corpus))]
    vectors_ND = np.concatenate(
        [
            embed_waveforms(module, config=SMALL, waveforms=waveforms[first : first + 5], device=CPU)
            for first in range(0, len(waveforms), 5)
        ]
    )
    products_P = (vectors_ND[splits.trials.left] * vectors_ND[splits.trials.right]).sum(axis=1)

    assert (len(waveforms), 16) == vectors_ND.shape
    assert scores_P.tolist() == pytest.approx(products_P.tolist(), abs=1e-6)
    assert np.ptp(scores_P) > 1e-4, "a net that gives one vector for all tests nothing"
    assert (np.linalg.norm(vectors_ND, axis=1) <= 1 + 1e-6).all()


def test_scores_are_those_of_a_trial(splits, make_task):
    """The task of a trial and the exported net share every step: the same floats."""
    task = make_task(seed=0)
    task.evaluate()
    task.test()
    table = task.scores().to_pylist()
    config = task._config
    scores_P, _ = scored(splits, task.module, config)

    assert [row["score"] for row in table if row["split"] == "test"] == scores_P.tolist()


def test_the_mode_is_left_as_it_was(splits):
    """Scoring in the middle of a training does not end it."""
    for is_training in (True, False):
        module = net().train(is_training)
        scored(splits, module)

        assert is_training == module.training


def test_pieces_of_embeddings_change_nothing(splits, monkeypatch):
    """Embeddings are gathered piece by piece, to bound the memory."""
    module = net()
    monkeypatch.setattr(embedding, "CROPS_AT_ONCE", 4)
    whole = scored(splits, module)[0]
    monkeypatch.setattr(embedding, "CROPS_GATHERED", 8)

    assert whole.tolist() == scored(splits, module)[0].tolist()


def test_a_crop_that_is_no_number_gives_a_score_that_is_none(splits):
    """It is not hidden by the mean."""
    module = net()
    with torch.no_grad():
        next(module.net.parameters()).fill_(float("nan"))

    assert np.isnan(scored(splits, module)[0]).all()


@pytest.mark.parametrize(("pooling", "wider"), [("sap", 1), ("asp", 2)])
def test_the_net_is_that_of_the_config(pooling, wider):
    """Knobs of the net reach it."""
    small, large = (build_net(replace(SMALL, pooling=pooling, embedding_size=size)) for size in (16, 17))
    counts = [sum(parameter.numel() for parameter in module.parameters()) for module in (large, small)]

    assert wider * 32 + 1 == counts[0] - counts[1]


def test_lengths_are_rounded_to_samples():
    """4.015 s are 64,240 samples."""
    assert 64_240 == samples_of(4.015, SMALL)
