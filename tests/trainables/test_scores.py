"""Evaluation crops, the scores of pairs, and the object that keeps them."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from trainables.scores import SCHEMA, mean_unit_vectors, plan_crops, score_pairs, score_writer, scores_table


def crops_of(*lengths, num_crops=10, crop_samples=1000):
    return plan_crops(
        num_samples_N=lengths, rows=np.arange(len(lengths)), crop_samples=crop_samples, num_crops=num_crops
    )


def test_crops_are_spread_from_the_first_start_to_the_last():
    """Ten crops of a long utterance start at evenly spaced places, the ends included."""
    crops = crops_of(64_000)

    assert [0] * 10 == crops.utterance_C.tolist()
    assert crops.start_C == pytest.approx(np.linspace(0, 1, 10))


@pytest.mark.parametrize(("length", "number"), [(300, 1), (1000, 1), (1001, 2), (1003, 4), (1500, 10)], ids=str)
def test_equal_crops_are_taken_once(length, number):
    """Where an utterance leaves fewer starts than crops are asked for, each start comes once."""
    crops = crops_of(length)
    starts = (crops.start_C * max(length - 1000, 0)).astype(int)

    assert number == len(crops)
    assert number == len(set(starts))


def test_only_the_asked_rows_have_crops():
    """Rows that are in no pair are not embedded."""
    crops = plan_crops(num_samples_N=[5000, 5000, 500], rows=np.array([0, 2]), crop_samples=1000, num_crops=2)

    assert [0, 0, 2] == crops.utterance_C.tolist()


def test_one_crop_is_taken_from_the_middle():
    """A single crop has no ends to be spread between."""
    assert [0.5] == crops_of(5000, num_crops=1).start_C.tolist()


def test_a_score_is_the_mean_of_all_cosines():
    """The dot product of mean unit vectors equals the loop over pairs of crops, whatever their numbers."""
    generator = torch.Generator().manual_seed(0)
    embeddings_CD = torch.randn(9, 5, generator=generator)
    utterance_C = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    left_P, right_P = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    expected = [
        torch.nn.functional.cosine_similarity(
            embeddings_CD[utterance_C == left, None].double(), embeddings_CD[None, utterance_C == right].double(), dim=2
        ).mean()
        for left, right in zip(left_P, right_P, strict=True)
    ]
    vectors_ND = mean_unit_vectors(
        embeddings=iter([embeddings_CD[:4], embeddings_CD[4:5], embeddings_CD[5:]]),
        utterance_C=utterance_C,
        num_utterances=4,
    )
    scores_P = score_pairs(vectors_ND=vectors_ND, left_P=left_P, right_P=right_P)

    assert np.float32 == scores_P.dtype
    assert torch.tensor(expected).numpy() == pytest.approx(scores_P, abs=1e-7)
    assert not vectors_ND[3].any()


def test_the_object_of_scores_comes_back(store):
    """Names, labels and scores are readable as plain Arrow, with the schema's version in its metadata."""
    table = scores_table(
        split="dev",
        utterances_N=["a", "b", "c"],
        left_P=np.array([0, 1], dtype=np.int32),
        right_P=np.array([2, 0], dtype=np.int32),
        label_P=np.array([True, False]),
        score_P=np.array([0.5, -0.25], dtype=np.float32),
    )
    name = score_writer(store, trial_id="abc", attempt=2)(table)
    found = pa.ipc.open_file(store.read(f"tables/scores/{name}")).read_all()

    assert "abc-a002.arrow" == name
    assert SCHEMA.equals(found.schema, check_metadata=True)
    assert [
        {"split": "dev", "left": "a", "right": "c", "label": True, "score": 0.5},
        {"split": "dev", "left": "b", "right": "a", "label": False, "score": -0.25},
    ] == found.to_pylist()
