"""What is made of a trained run: exports, evaluations, embeddings; without Ray."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import soundfile as sf

from reports.manifest import RunError
from reports.reading import Run, read_run, read_scores
from reports.summaries import Summary, summarise
from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.study import Source
from trainables.checkpoints import Checkpoints, folder_of
from trainables.corpora.corpus import CorpusError
from trainables.corpora.sources import open_roles
from trainables.exported import CARD, FACTS, WEIGHTS, ModelError, load_model, speaker_mark
from voxstudy.embed import embed_audio
from voxstudy.evaluate import evaluate_model
from voxstudy.export import export_trial, find_trial, refuse_incomplete, speaker_marks

RATE = 16_000


def load_helper() -> Any:
    """Test folders are no packages, so the file beside this one is loaded by its path."""
    spec = importlib.util.spec_from_file_location("trained_run", Path(__file__).with_name("trained_run.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two arms and two seeds, each trained to its end, and a trial that was stopped."""
    run: Path = load_helper().train_run(tmp_path_factory.mktemp("trained") / "run")
    return run


@pytest.fixture(scope="module")
def run(trained: Path) -> Run:
    """The run, read once."""
    return read_run(str(trained))


@pytest.fixture(scope="module")
def model(trained: Path) -> Path:
    """Its best trial, exported."""
    out = trained.parent / "model"
    export_trial(str(trained), trial="best", out=str(out))
    return out


@pytest.fixture
def said() -> list[str]:
    """What a command said; `said.append` is its `say`."""
    return []


def trial_of(run: Run, arm: str, seed: int) -> dict[str, Any]:
    """A row of the trials table."""
    return run.trials.filter((pl.col("arm") == arm) & (pl.col("seed") == seed)).collect().row(0, named=True)


def files_of(folder: Path) -> dict[str, bytes]:
    """What a folder holds."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def scores_of(run: Run, trial_id: str, split: str) -> pl.DataFrame:
    """What a trial scored."""
    return read_scores(run, trial_id).filter(pl.col("split") == split)


class TestExport:
    """`voxstudy export`."""

    def test_it_says_what_the_tables_say(self, run: Run, trained: Path, tmp_path: Path) -> None:
        """Config, metrics, identity and fingerprints are those of the run."""
        facts = export_trial(str(trained), trial="AP loss/1", out=str(tmp_path / "net"))
        row = trial_of(run, "AP loss", 1)
        last = run.epochs.filter((pl.col("trial_id") == row["trial_id"]) & (pl.col("epoch") == 2)).collect()
        read = run.readings.filter(pl.col("trial_id") == row["trial_id"]).collect()

        assert facts == json.loads((tmp_path / "net" / FACTS).read_text())
        assert {CARD, FACTS, WEIGHTS} == set(files_of(tmp_path / "net"))
        for split, table in (("dev", last), ("test", read)):
            assert {name: table[f"metric.{name}"].item() for name in ("eer", "min_dcf")} == facts["metrics"][split]
        names = ("config_id", "arm", "seed", "epochs", "workers", "code_hash")
        assert {name: row[name] for name in names} == {name: facts["trial"][name] for name in names}
        assert row["trial_id"] == facts["trial"]["id"]
        assert ("ap", 4, 2) == tuple(facts["config"][knob] for knob in ("loss", "width", "epochs"))
        assert read["fingerprint"].item() == facts["corpus"]["test_fingerprint"]
        held = run.corpus.select("role", "fingerprint").collect().rows()
        assert held == [(each["role"], each["fingerprint"]) for each in facts["corpus"]["held"]]

    def test_the_weights_are_those_of_the_last_checkpoint(self, run: Run, model: Path) -> None:
        """Every tensor, and no other."""
        exported = load_model(model)
        trial_id = exported.facts["trial"]["id"]
        found = Checkpoints(run.store, folder_of(trial_id), 1).load_newest(epoch=2)
        assert found is not None
        weights = found[1]["module"]

        assert list(weights) == list(exported.module.state_dict())
        for name, tensor in exported.module.state_dict().items():
            assert weights[name].tolist() == tensor.tolist(), name

    def test_the_same_trial_gives_the_same_bytes(self, trained: Path, model: Path, tmp_path: Path) -> None:
        """However it is named, and wherever it goes; a second export onto the first changes nothing."""
        own = json.loads((model / FACTS).read_text())["trial"]
        for place, name in enumerate((own["id"], own["id"][:8], own["arm"], f"{own['arm']}/{own['seed']}")):
            out = tmp_path / f"net{place}"
            export_trial(str(trained), trial=name, out=str(out))

            assert files_of(model) == files_of(out)
        export_trial(str(trained), trial="best", out=str(out))
        assert [f"net{place}" for place in range(4)] == sorted(file.name for file in tmp_path.iterdir())

    def test_best_is_best_on_dev(self, run: Run) -> None:
        """The config with the best mean over its seeds; of it the seed with the best value."""
        summary = summarise(run)
        found = find_trial(summary, "best", place="run")
        trials = run.trials.filter(pl.col("state") == "complete").collect()
        means = trials.group_by("arm").agg(pl.col("objective").mean()).sort("objective")
        best = trials.filter(pl.col("arm") == means["arm"][0]).sort("objective", "seed")

        assert means["objective"][0] < means["objective"][1]
        assert best["trial_id"][0] == found["trial_id"]
        for arm in ("paper", "AP loss"):
            best = trials.filter(pl.col("arm") == arm).sort("objective", "seed")
            assert best["trial_id"][0] == find_trial(summary, arm, place="run")["trial_id"]

    @pytest.mark.parametrize(
        ("trial", "expected"),
        [
            ("AP loss/3", "was stopped early at epoch 1 of 2"),
            ("papre", "did you mean 'paper'"),
            ("paper/7", "no trial of seed 7 (it has 1, 2)"),
            ("", "no such trial"),
        ],
    )
    def test_trials_that_cannot_be_exported(self, trained: Path, tmp_path: Path, trial: str, expected: str) -> None:
        """The reason is said, and nothing is left behind."""
        with pytest.raises(RunError, match=r"^.*$") as caught:
            export_trial(str(trained), trial=trial, out=str(tmp_path / "net"))

        assert expected in str(caught.value)
        assert [] == list(tmp_path.iterdir())

    def test_weights_are_trained_parameters_and_running_statistics_alone(self, model: Path) -> None:
        """No table of the front end, whatever else a module holds."""
        weights = safetensors.numpy.load((model / WEIGHTS).read_bytes())
        trained = {name for name, _ in load_model(model).module.named_parameters()}
        statistics = ("running_mean", "running_var", "num_batches_tracked")

        assert trained <= set(weights)
        assert [] == [n for n in weights if n not in trained and n.rpartition(".")[2] not in statistics]

    def test_speakers_are_kept_as_marks_while_their_corpus_is_there(self, run: Run, model: Path) -> None:
        """Of train and of dev, as many as were heard; None where the sources are gone."""
        known = json.loads((model / FACTS).read_text())["corpus"]["speakers"]
        held = {row["role"]: row["speakers"] for row in run.corpus.collect().to_dicts()}
        gone = replace(run, study=run.study.model_copy(update={"corpus": {"train": [Source(source="gone.csv")]}}))

        assert {role: held[role] for role in ("train", "dev")} == {
            role: len(one.split()) for role, one in known.items()
        }
        assert speaker_mark("synthetic0-train-0000") in known["train"]
        assert speaker_mark("synthetic0-dev-0000") in known["dev"]
        assert speaker_marks(gone, ContrastiveMixup(), []) is None

    def test_a_run_with_a_failed_trial(self, trained: Path, model: Path, tmp_path: Path) -> None:
        """The failed one is refused with its reason; the others are exported as before."""
        run = read_run(str(trained))
        row = summarise(run).trials.row(0, named=True)
        with pytest.raises(RunError, match=r"failed at epoch 1 of 2: out of memory; only complete"):
            refuse_incomplete({**row, "state": "failed", "epochs": 1, "error": "out of memory"}, "run")
        summary = summarise(run)
        is_first = pl.col("trial_id") == row["trial_id"]
        failed = replace(
            summary,
            trials=summary.trials.with_columns(state=pl.when(is_first).then(pl.lit("failed")).otherwise("state")),
        )

        assert "failed" == find_trial(failed, f"{row['arm']}/{row['seed']}", place="run")["state"]
        assert "complete" == find_trial(failed, row["arm"], place="run")["state"]

    def test_checkpoints_that_are_gone_or_damaged(self, run: Run, trained: Path, tmp_path: Path) -> None:
        """An earlier epoch does not stand in for the last one."""
        copy = tmp_path / "run"
        shutil.copytree(trained, copy)
        folder = copy / folder_of(trial_of(run, "paper", 1)["trial_id"])
        last = max(folder.iterdir())
        data = bytearray(last.read_bytes())
        data[len(data) // 2] ^= 1
        last.write_bytes(data)
        with pytest.raises(RunError, match="after epoch 2, the last, is missing or damaged"):
            export_trial(str(copy), trial="paper/1", out=str(tmp_path / "net"))
        shutil.rmtree(copy / "checkpoints")
        with pytest.raises(RunError, match="its checkpoints were deleted"):
            export_trial(str(copy), trial="paper/1", out=str(tmp_path / "net"))

        assert ["run"] == [each.name for each in tmp_path.iterdir()]

    def test_what_is_there_already_stays(self, trained: Path, model: Path, tmp_path: Path) -> None:
        """Another export, something else, or a file in the way: refused and left as it is."""
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.tex").write_text("years of work")
        shutil.copytree(model, tmp_path / "net")
        (tmp_path / "file").write_text("a file")
        own = json.loads((model / FACTS).read_text())["trial"]
        other = "paper/1" if (own["arm"], own["seed"]) != ("paper", 1) else "paper/2"
        for out, expected in (
            ("other", "holds 'thesis.tex'"),
            ("net", "another export"),
            ("file", "cannot be written"),
        ):
            with pytest.raises(RunError, match=expected):
                export_trial(str(trained), trial=other, out=str(tmp_path / out))
        with pytest.raises(RunError, match="folder of this machine"):
            export_trial(str(trained), trial="best", out="s3://bucket/net")

        assert files_of(model) == files_of(tmp_path / "net")
        assert {"file", "net", "other"} == {each.name for each in tmp_path.iterdir()}

    def test_the_card_says_what_it_is_worth(self, run: Run, trained: Path, tmp_path: Path) -> None:
        """Means beside the baseline's with the verdict, its own numbers, and the doubts."""
        export_trial(str(trained), trial="AP loss/2", out=str(tmp_path / "net"))
        card = (tmp_path / "net" / CARD).read_text()
        standing = next(one for one in summarise(run).standings if one.name == "AP loss")
        own = trial_of(run, "AP loss", 2)
        assert standing.dev is not None
        assert standing.dev.std is not None

        assert f"| its config | {100 * standing.dev.mean:.2f} ± {100 * standing.dev.std:.2f} |" in card
        assert f"| this net | {100 * own['objective']:.2f} |" in card
        assert "| the baseline “paper” |" in card
        assert "tied with the baseline on dev" in card
        for doubt in ("are synthetic", "2 seeds are few", "a choice by dev", "Other languages"):
            assert doubt in card
        assert "<tests>" not in card, "what people write is shown, not interpreted"
        assert "`loss = ap`" in card

    def test_a_run_at_a_uri(self, trained: Path, model: Path, tmp_path: Path) -> None:
        """A store is a store."""
        export_trial(f"file://{trained}", trial="best", out=str(tmp_path / "net"))

        assert files_of(model) == files_of(tmp_path / "net")


def named(**columns: list[Any]) -> Summary:
    """Trials of these names, ids and seeds, all complete."""
    trials = pl.DataFrame({"state": "complete", "phase": "arm", "value": 0.1, **columns})
    return cast(Summary, SimpleNamespace(trials=trials, minimize=True))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("deadbeef0001", "deadbeef0001"),
        ("deadbeef", "2cafe0000002"),
        ("deadbeef0", "deadbeef0001"),
        ("dead", "deadbeef0001"),
        ("#2", "0000cafe0003"),
        ("2", "0000cafe0003"),
        ("#2/9", "0000cafe0003"),
        ("2cafe", "2cafe0000002"),
        ("best/3", "beef00000004"),
        ("beef", "beef00000004"),
    ],
)
def test_what_a_name_means(wanted: str, expected: str) -> None:
    """An id, a name, NAME/SEED, a number of the search, the beginning of an id: what is more said wins."""
    summary = named(
        trial_id=["deadbeef0001", "2cafe0000002", "0000cafe0003", "beef00000004"],
        config_name=["paper", "deadbeef", "#2", "best"],
        config_id=["a", "b", "c", "d"],
        seed=[1, 2, 9, 3],
    )

    assert expected == find_trial(summary, wanted, place="run")["trial_id"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("abcd", "2 trials have ids that begin so (abcd00000001, abcd00000002)"),
        ("abc", "no such trial"),
        ("7", "no such trial"),
        ("#2/7", "#2 has no trial of seed 7 (it has 1)"),
        ("pap", "an arm named best is best/SEED"),
    ],
)
def test_what_a_name_does_not_mean(wanted: str, said: str) -> None:
    """A short or ambiguous beginning of an id is none."""
    ids = ["abcd00000001", "abcd00000002"]
    summary = named(trial_id=ids, config_name=["paper", "#2"], config_id=["a", "b"], seed=[1, 1])
    with pytest.raises(RunError) as caught:
        find_trial(summary, wanted, place="run")

    assert said in str(caught.value)


def edited(model: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of an export whose model.json is changed."""
    shutil.copytree(model, folder)
    facts = json.loads((folder / FACTS).read_text())
    change(facts)
    (folder / FACTS).write_text(json.dumps(facts))
    return folder


class TestEvaluate:
    """`voxstudy evaluate`."""

    @pytest.mark.parametrize("split", ["test", "dev"])
    def test_the_runs_own_sets_to_the_last_bit(
        self, run: Run, model: Path, tmp_path: Path, said: list[str], split: str
    ) -> None:
        """Every pair in its order, every score, EER and minDCF of the tables."""
        found = evaluate_model(
            str(model), corpus=(), trial_list=None, split=split, out=str(tmp_path / "out"), say=said.append
        )
        facts = json.loads((model / FACTS).read_text())
        written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        scores = pl.read_ipc(tmp_path / "out" / "scores.arrow")

        assert facts["metrics"][split]["eer"] == found.parts[0].eer == written["parts"][0]["eer"]
        assert facts["metrics"][split]["min_dcf"] == found.parts[0].min_dcf
        assert scores_of(run, facts["trial"]["id"], split).equals(scores)
        assert scores["score"].n_unique() > 50
        assert written["corpus"]["is_the_runs_own"]
        assert {"evaluation.json", "evaluation.md", "det.svg", "scores.arrow"} == set(files_of(tmp_path / "out"))
        assert any("women" in line for line in said)
        assert "<svg" in (tmp_path / "out" / "det.svg").read_text()

    def test_a_second_time_gives_the_same_bytes(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Nothing of the machine's moment is in it; earlier files are replaced."""
        options: dict[str, Any] = {"corpus": (), "trial_list": None, "split": "test", "say": said.append}
        evaluate_model(str(model), out=str(tmp_path / "out"), **options)
        first = files_of(tmp_path / "out")
        (tmp_path / "out" / "det.svg").write_text("old")
        evaluate_model(str(model), out=str(tmp_path / "out"), **options)

        assert first == files_of(tmp_path / "out")

    def test_a_manifest_is_scored_by_its_test_partition_or_whole(
        self, model: Path, tmp_path: Path, said: list[str]
    ) -> None:
        """An official partition if there is one; without, all of it; with others alone, all of it and a note."""
        rows = write_audio(tmp_path, speakers=8)
        official = manifest(tmp_path / "official.csv", rows, split=lambda speaker: "test" if speaker >= 4 else "train")
        plain = manifest(tmp_path / "plain.csv", rows)
        others = manifest(tmp_path / "others.csv", rows, split=lambda speaker: "dev" if speaker < 4 else "train")
        found = {
            file.name: evaluate_model(
                str(model), corpus=[str(file)], trial_list=None, split="test", out=None, say=said.append
            ).parts[0]
            for file in (official, plain, others)
        }

        assert [4, 8, 8] == [found[name].speakers for name in ("official.csv", "plain.csv", "others.csv")]
        assert [12, 24, 24] == [part.targets for part in found.values()]
        assert any("no official partition of that name (there is dev, train)" in line for line in said)

    def test_a_list_of_trials_is_kept_as_it_is(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Its pairs in its order, by --trial-list or as the role trials; unknown utterances are named."""
        plain = manifest(tmp_path / "plain.csv", write_audio(tmp_path, speakers=3))
        (tmp_path / "list.txt").write_text("0 s1-0.wav s0-0.wav\n1 s0-0.wav s0-1.wav\n0 s2-1.wav s1-1.wav\n")
        by_option, by_role = tmp_path / "one", tmp_path / "two"
        listed = str(tmp_path / "list.txt")
        evaluate_model(
            str(model), corpus=[str(plain)], trial_list=listed, split="test", out=str(by_option), say=said.append
        )
        evaluate_model(
            str(model),
            corpus=[f"test={plain}", f"trials={listed}"],
            trial_list=None,
            split="test",
            out=str(by_role),
            say=said.append,
        )
        scores = pl.read_ipc(by_option / "scores.arrow")

        assert ["s1-0.wav", "s0-0.wav", "s2-1.wav"] == scores["left"].to_list()
        assert [False, True, False] == scores["label"].to_list()
        assert (by_option / "scores.arrow").read_bytes() == (by_role / "scores.arrow").read_bytes()
        (tmp_path / "list.txt").write_text("0 s1-0.wav s0-0.wav\n1 s0-0.wav s9-1.wav\n")
        with pytest.raises(CorpusError, match=r"s9-1\.wav"):
            evaluate_model(str(model), corpus=[str(plain)], trial_list=listed, split="test", out=None, say=said.append)

    def test_pairs_as_in_studies(self, model: Path, said: list[str]) -> None:
        """`pairs?balance=gender` gives as many targets of women as of men."""
        found = evaluate_model(
            str(model), corpus=["trials=pairs?balance=gender"], trial_list=None, split="test", out=None, say=said.append
        )
        women, men = (part for part in found.parts if part.name in ("women", "men"))

        assert women.targets == men.targets > 0
        assert women.nontargets == men.nontargets > 0

    def test_data_that_changed_since_is_refused(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """The EER of another test set is not that of the table."""
        for split, key in (("test", "test_fingerprint"), ("dev", None)):

            def change(facts: dict[str, Any], key: str | None = key) -> None:
                if key is not None:
                    facts["corpus"][key] = "0" * 64
                for held in facts["corpus"]["held"]:
                    held["fingerprint"] = "0" * 64

            folder = edited(model, tmp_path / split, change)
            with pytest.raises(CorpusError, match="not what the run scored"):
                evaluate_model(str(folder), corpus=(), trial_list=None, split=split, out=None, say=said.append)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"split": "tset"}, "did you mean 'test'"),
            ({"split": "train"}, "must be one of test, dev"),
            ({"corpus": ["tset=x.csv"]}, "did you mean 'test'"),
            ({"corpus": ["test="]}, "needs a source"),
            ({"corpus": ["trials=pairs"], "trial_list": "x"}, "there is --corpus trials"),
            ({"corpus": ["no.csv"]}, "no.csv"),
            ({"trial_list": "no.txt"}, "no.txt"),
            ({"corpus": ["synthetic?spaekers=3"]}, "speakers"),
            ({"corpus": ["x.csv", "train=y.csv"]}, "--corpus train=…: has no effect, for test has sources of its own"),
            ({"corpus": ["test=x.csv", "dev=y.csv"]}, "--corpus dev=…: has no effect"),
            ({"corpus": ["test=x.csv"], "split": "dev"}, "--corpus test=…: has no effect, for dev comes from the sour"),
            ({"trial_list": "x.txt", "split": "dev"}, "--trial-list: a list of pairs needs a corpus"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_mistakes(self, model: Path, said: list[str], options: dict[str, Any], expected: str) -> None:
        """Each is a sentence."""
        asked: dict[str, Any] = {"corpus": (), "trial_list": None, "split": "test", "out": None, **options}
        with pytest.raises((RunError, CorpusError)) as caught:
            evaluate_model(str(model), say=said.append, **asked)

        assert expected in str(caught.value)

    def test_a_corpus_heard_in_training_is_told(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Its error rates are no measure of anything."""
        options: dict[str, Any] = {"trial_list": None, "split": "test", "say": said.append}
        voices = ["synthetic?speakers=6&utterances=2&dev_speakers=0&test_speakers=0&seed=5&seconds=1"]
        evaluate_model(str(model), corpus=voices, out=str(tmp_path / "out"), **options)
        heard = json.loads((tmp_path / "out" / "evaluation.json").read_text())["corpus"]["fingerprint"]

        assert not any("heard in training" in line for line in said)
        folder = edited(model, tmp_path / "net", lambda facts: facts["corpus"]["held"][0].update(fingerprint=heard))
        evaluate_model(str(folder), corpus=voices, out=None, **options)
        assert any("heard in training" in line for line in said)

    def test_speakers_heard_in_training_are_told(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Some speakers of train and of dev in a corpus of another make: how many, on the terminal and in the files."""
        rows = write_audio(tmp_path, speakers=6)
        names = ["synthetic0-train-0001", "synthetic0-train-0002", "synthetic0-dev-0001", "a", "b", "c"]
        sheet = tmp_path / "mixed.csv"
        sheet.write_text("path,speaker\n" + "".join(f"{name},{names[speaker]}\n" for name, speaker in rows))
        options: dict[str, Any] = {"corpus": [str(sheet)], "trial_list": None, "split": "test", "say": said.append}
        evaluate_model(str(model), out=str(tmp_path / "out"), **options)
        facts = json.loads((tmp_path / "out" / "evaluation.json").read_text())["corpus"]
        expected = (
            "Of these 6 speakers some are named as others were: 2 as speakers it was trained on and 1 as speakers"
        )

        assert {"train": 2, "dev": 1} == facts["speakers_named_as_heard"]
        assert any(line.startswith(expected) for line in said)
        assert expected in (tmp_path / "out" / "evaluation.md").read_text()

    def test_a_source_that_was_trained_on_is_told_where_speakers_are_not_known(
        self, model: Path, tmp_path: Path, said: list[str]
    ) -> None:
        """By its text or its place."""
        sheet = manifest(tmp_path / "all.csv", write_audio(tmp_path, speakers=4))

        def change(facts: dict[str, Any]) -> None:
            facts["corpus"].update(speakers=None, roles={"train": [{"source": str(sheet)}]})

        folder = edited(model, tmp_path / "net", change)
        other = f"{tmp_path}/net/../all.csv"
        evaluate_model(str(folder), corpus=[other], trial_list=None, split="test", out=None, say=said.append)

        assert any("was trained or chosen on as well; with which speakers is not known" in line for line in said)

    def test_silence_and_the_corpus_are_told(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """A silent file, one at another rate, one that is left out: in evaluation.md as well."""
        rows = write_audio(tmp_path, speakers=8)
        sf.write(tmp_path / "s0-0.wav", np.zeros(RATE), RATE)
        sf.write(tmp_path / "s1-0.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
        (tmp_path / "s2-0.wav").write_text("no audio")
        sheet = manifest(tmp_path / "all.csv", rows)
        evaluate_model(
            str(model),
            corpus=[str(sheet)],
            trial_list=None,
            split="test",
            out=str(tmp_path / "out"),
            say=said.append,
        )
        written = (tmp_path / "out" / "evaluation.md").read_text()

        for told in ("digital silence", "8000 Hz, resampled to 16000 Hz", "it has no partitions", "s2-0.wav"):
            assert any(told in line for line in said), told
            assert told in written, told


def write_audio(folder: Path, *, speakers: int, utterances: int = 3) -> list[tuple[str, int]]:
    """Files of chords, one a speaker; (file name, speaker) of each."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    rows = []
    for speaker in range(speakers):
        for utterance in range(utterances):
            tones = sum(np.sin(2 * np.pi * (90 + 11 * speaker) * k * time) / k for k in range(1, 9))
            name = f"s{speaker}-{utterance}.wav"
            sf.write(folder / name, 0.1 * tones + 0.02 * rng.standard_normal(len(time)), RATE)
            rows.append((name, speaker))
    return rows


def manifest(file: Path, rows: list[tuple[str, int]], split: Callable[[int], str] | None = None) -> Path:
    """A manifest of these files."""
    head = "path,speaker" + (",split" if split else "")
    lines = [f"{name},s{speaker}" + (f",{split(speaker)}" if split else "") for name, speaker in rows]
    file.write_text("\n".join([head, *lines]) + "\n")
    return file


class TestEmbed:
    """`voxstudy embed`."""

    def test_dot_products_are_scores(self, run: Run, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Of the run's own test utterances: those of its table."""
        facts = json.loads((model / FACTS).read_text())
        roles = {role: [each["source"] for each in given] for role, given in facts["corpus"]["roles"].items()}
        splits = open_roles(roles, sample_rate=RATE)
        assert splits.test is not None
        folder = tmp_path / "audio"
        folder.mkdir()
        for row in splits.test.table.to_pylist():
            samples = splits.test.sources[row["source"]].waveform(path=None, index=row["index"], sample_rate=RATE)
            (folder / row["utterance"]).parent.mkdir(parents=True, exist_ok=True)
            sf.write(folder / f"{row['utterance']}.wav", samples, RATE)
        done = embed_audio(str(model), [str(folder)], out=str(tmp_path / "out.parquet"), say=said.append)
        table = pl.read_parquet(tmp_path / "out.parquet")
        vector_of = dict(zip(table["utterance"], table["embedding"].to_numpy(), strict=True))
        scores = scores_of(run, facts["trial"]["id"], "test")
        products = [float(vector_of[a] @ vector_of[b]) for a, b in scores.select("left", "right").iter_rows()]

        assert (len(splits.test), 0) == (done.good, done.bad)
        assert scores["score"].to_list() == pytest.approx(products, abs=2e-6)
        assert np.ptp(products) > 1e-4

    def test_the_file_says_what_it_holds(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Types of the columns, and in the metadata what the numbers are and whose."""
        write_audio(tmp_path, speakers=1)
        embed_audio(str(model), [str(tmp_path)], out=str(tmp_path / "out.parquet"), say=said.append)
        schema = pq.read_schema(tmp_path / "out.parquet")
        facts = json.loads((model / FACTS).read_text())

        assert ["path", "utterance", "embedding", "duration_s"] == schema.names
        assert "fixed_size_list<element: float not null>[16]" == str(schema.field("embedding").type)
        assert b"dot product" in schema.metadata[b"voxstudy.embedding"]
        assert facts["trial"]["id"].encode() in schema.metadata[b"voxstudy.model"]
        assert [1.0] * 3 == pl.read_parquet(tmp_path / "out.parquet")["duration_s"].to_list()

    def test_files_folders_manifests_and_voices(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """In their order, each file once; the same utterance has the same vector whatever it came with."""
        rows = write_audio(tmp_path, speakers=6)
        (tmp_path / "deep" / "er").mkdir(parents=True)
        shutil.copy(tmp_path / "s0-0.wav", tmp_path / "deep" / "er" / "again.flac.wav")
        sheet = manifest(tmp_path / "all.csv", rows)
        words = [tmp_path / "s2-0.wav", tmp_path / "deep", tmp_path / "s2-0.wav", sheet]
        voices = "synthetic?speakers=1&utterances=2&dev_speakers=0&test_speakers=0&seconds=1"
        out = tmp_path / "out.parquet"
        done = embed_audio(str(model), [*map(str, words), voices], out=str(out), say=said.append)
        table = pl.read_parquet(out)

        assert 2 + len(rows) + 2 == done.good == table.height
        assert ["s2-0", "er/again.flac", "s0-0.wav"] == table["utterance"].to_list()[:3]
        assert [None, None] == table["path"].to_list()[-2:]
        first = dict(zip(table["utterance"], table["embedding"].to_numpy(), strict=True))
        assert first["s2-0"] == pytest.approx(first["s2-0.wav"], abs=1e-6)
        assert first["er/again.flac"] == pytest.approx(first["s0-0.wav"], abs=1e-6)
        assert any("utterances, 0.01 hours" in line for line in said)

    def test_bad_files_are_named_and_left_out(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """The others are there; if none is good, no file is written and one that is there stays."""
        rows = write_audio(tmp_path, speakers=1)
        (tmp_path / "text.wav").write_text("not audio")
        (tmp_path / "empty.wav").write_bytes(b"")
        sf.write(tmp_path / "short.wav", np.zeros(3000), RATE)
        sheet = manifest(tmp_path / "all.csv", [*rows, ("text.wav", 1), ("gone.wav", 2)])
        out = tmp_path / "out.parquet"
        done = embed_audio(str(model), [str(tmp_path), str(sheet)], out=str(out), say=said.append)
        left_out = [line for line in said if line.startswith("left out")]

        assert (3 + 3, 3 + 2) == (done.good, done.bad)
        for name, reason in (
            ("text", "not readable"),
            ("empty", "0 bytes"),
            ("short", "too short"),
            ("gone", "no such"),
        ):
            assert any(f"{name}.wav" in line and reason in line for line in left_out), name
        before = out.read_bytes()
        with pytest.raises(RunError, match="none of 2 utterances"):
            embed_audio(
                str(model),
                [str(tmp_path / "text.wav"), str(tmp_path / "empty.wav")],
                out=str(out),
                say=said.append,
            )
        assert before == out.read_bytes()
        assert [] == [file for file in tmp_path.iterdir() if file.name.startswith(".")]

    def test_what_was_done_to_the_audio_is_told(self, model: Path, tmp_path: Path, said: list[str]) -> None:
        """Resampled and averaged files are counted, a silent one is named."""
        rng = np.random.default_rng(0)
        sf.write(tmp_path / "slow.wav", 0.1 * rng.standard_normal(8000), 8000)
        sf.write(tmp_path / "two.wav", 0.1 * rng.standard_normal((RATE, 2)), RATE)
        sf.write(tmp_path / "mute.wav", np.zeros(RATE), RATE)
        done = embed_audio(str(model), [str(tmp_path)], out=str(tmp_path / "out.parquet"), say=said.append)

        assert (3, 0) == (done.good, done.bad)
        assert "note: 1 utterance: 8000 Hz, resampled to 16000 Hz" in said
        assert "note: 1 utterance: 2 channels, averaged" in said
        assert [f"note: {tmp_path / 'mute.wav'}: digital silence: no embedding of it means anything"] == [
            line for line in said if "silence" in line
        ]

    def test_many_rows_are_several_groups(
        self, model: Path, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is in memory is written every so often; the file is the same table."""
        write_audio(tmp_path, speakers=7)
        embed_audio(str(model), [str(tmp_path)], out=str(tmp_path / "one.parquet"), say=said.append)
        monkeypatch.setattr("voxstudy.embed.ROWS_OF_GROUP", 1)
        embed_audio(str(model), [str(tmp_path)], out=str(tmp_path / "many.parquet"), say=said.append)

        assert [1, 2] == [pq.ParquetFile(tmp_path / f"{n}.parquet").num_row_groups for n in ("one", "many")]
        assert pl.read_parquet(tmp_path / "one.parquet").equals(pl.read_parquet(tmp_path / "many.parquet"))

    @pytest.mark.parametrize("word", ["no.wav", "empty", "no.csv", "s3://bucket/x.csv", "synthetic?spaekers=2"])
    def test_words_that_name_nothing(self, model: Path, tmp_path: Path, said: list[str], word: str) -> None:
        """All of them are said, before anything is embedded."""
        (tmp_path / "empty").mkdir()
        with pytest.raises(CorpusError) as caught:
            embed_audio(str(model), [str(tmp_path / "x.flac"), word], out=str(tmp_path / "o.parquet"), say=said.append)

        assert 2 == len(caught.value.problems)
        assert "x.flac: no such file, folder or corpus" in str(caught.value)

    def test_no_net(self, tmp_path: Path, said: list[str]) -> None:
        """A folder that is no export."""
        with pytest.raises(ModelError, match=r"it has no model\.json"):
            embed_audio(str(tmp_path), ["a.wav"], out=str(tmp_path / "o.parquet"), say=said.append)


def test_a_test_set_split_off_train_is_found_again(tmp_path: Path, said: list[str]) -> None:
    """Without a role test all roles are opened, as the run does it."""
    rows = write_audio(tmp_path, speakers=40, utterances=2)
    sheet = manifest(tmp_path / "all.csv", rows)
    run = load_helper().train_run(tmp_path / "run", train=str(sheet), seeds=1, arms=["paper"], pruned=False)
    facts = export_trial(str(run), trial="paper", out=str(tmp_path / "net"))
    options: dict[str, Any] = {"corpus": (), "trial_list": None, "out": None, "say": said.append}
    found = {split: evaluate_model(str(tmp_path / "net"), split=split, **options) for split in ("dev", "test")}

    for split in ("dev", "test"):
        assert facts["metrics"][split]["eer"] == found[split].parts[0].eer
