import pickle
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy, parse_study, read_study, shipped_studies
from search_spaces.study import Study

HEAD = """
title = "What is asked?"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
"""
CORPUS = '[corpus]\ntrain = "synthetic"\n'
SEARCH = "[search]\ntrials = 4\n[search.space]\n"
Read = Callable[..., ReadStudy]


def messages(read: Read, text: str, **options: object) -> list[str]:
    with pytest.raises(StudyError) as caught:
        read(text, **options)
    return [str(problem).removeprefix("study.toml: ") for problem in caught.value.problems]


def sources_of(study: Study) -> dict[str, list[str]]:
    """The sources of a study that has no conditions on them."""
    assert not any(each.where for sources in study.corpus.values() for each in sources)
    return {role: [each.source for each in sources] for role, sources in study.corpus.items()}


# ---- what is right


def test_a_study_is_read_with_its_defaults(read: Read) -> None:
    """What a file does not say has the grammar's defaults; a single source is a list of one."""
    study = read(HEAD + CORPUS + SEARCH + "beta_alpha = true").study

    assert {"train": ["synthetic"]} == sources_of(study)
    assert (1, 0, ()) == (study.seeds, study.seed, study.arms)
    assert study.search is not None
    assert (4, "tpe", "none", 1, 3) == (
        study.search.trials,
        study.search.sampler,
        study.search.stopper,
        study.search.grace,
        study.search.reduction,
    )
    assert (1, 1, 0.0, 0) == tuple(study.resources.model_dump().values())


def test_a_study_without_a_search_is_its_arms(read: Read) -> None:
    """A study may only compare named configs."""
    study = read(HEAD + CORPUS + '[[arm]]\nname = "AP"\nconfig = { loss = "ap" }').study

    assert study.search is None
    assert {} == study.space()
    assert ["AP"] == [arm.name for arm in study.arms]


def test_the_source_is_kept_byte_for_byte(read: Read) -> None:
    """Comments and blanks survive in the copy that goes into a run."""
    text = "# why\n" + HEAD + CORPUS + "  # end"

    assert text.encode() == read(text).source


def test_a_byte_order_mark_is_no_mistake(read: Read) -> None:
    """Some editors put one at the start of a file."""

    assert "What is asked?" == read("\ufeff" + HEAD + CORPUS).study.title


def test_resolved_says_what_the_command_line_made_of_it(read: Read, tmp_path: Path) -> None:
    """Overrides, absolute paths and the knob's own range are written out, and reading it again gives the same study."""
    found = read(
        HEAD + '[corpus]\ntrain = "voices/manifest.csv"\n' + SEARCH + "beta_alpha = true\nlearning_rate = true",
        sets=["learning_rate=2e-3"],
        trials=9,
        workers=2,
    )
    resolved = tomllib.loads(found.resolved)

    assert [str(tmp_path / "voices/manifest.csv")] == resolved["corpus"]["train"]
    assert {"learning_rate": 2e-3} == resolved["config"]
    assert {"beta_alpha": {"low": 0.05, "high": 1.0}} == resolved["search"]["space"]
    assert (9, 2) == (resolved["search"]["trials"], resolved["resources"]["workers"])
    assert found.study == parse_study(found.resolved.encode(), label="resolved.toml")


def test_relative_sources_belong_to_whoever_wrote_them(read: Read, tmp_path: Path) -> None:
    """A path in a study file starts at the file, one on the command line at the working directory."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/mine.toml").write_text(
        HEAD + '[corpus]\ntrain = ["a.csv", "synthetic?speakers=20"]\ntrials = "pairs?balance=gender"\n'
    )
    study = read_study("studies/mine.toml", corpus=["dev=b.csv", "dev=s3://bucket/c.parquet"]).study

    assert [str(tmp_path / "studies/a.csv"), "synthetic?speakers=20"] == sources_of(study)["train"]
    assert ["pairs?balance=gender"] == sources_of(study)["trials"]
    assert [str(tmp_path / "b.csv"), "s3://bucket/c.parquet"] == sources_of(study)["dev"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["synthetic?speakers=9"], {"train": ["synthetic?speakers=9"]}),
        (["dev=synthetic"], {"train": ["synthetic"], "dev": ["synthetic"]}),
        (["train=synthetic?seed=1", "train=synthetic?seed=2"], {"train": ["synthetic?seed=1", "synthetic?seed=2"]}),
        (["synthetic", "dev=synthetic?seed=3"], {"train": ["synthetic"], "dev": ["synthetic?seed=3"]}),
        (["s3://bucket/a=b.csv"], {"train": ["s3://bucket/a=b.csv"]}),
    ],
    ids=["bare", "one role", "role twice", "bare and role", "uri with ="],
)
def test_corpus_options(read: Read, options: list[str], expected: dict[str, list[str]]) -> None:
    """A bare source replaces the whole corpus, a role one role; a role given twice has two sources."""

    assert expected == sources_of(read(HEAD + CORPUS, corpus=options).study)


def test_a_bare_corpus_drops_the_file_s_other_roles(read: Read) -> None:
    """A dev set chosen for the file's corpus says nothing about another one."""
    text = HEAD + '[corpus]\ntrain = "synthetic"\ndev = "synthetic?seed=5"\n'

    assert {"train": ["synthetic?seed=1"]} == sources_of(read(text, corpus=["synthetic?seed=1"]).study)


def test_a_set_knob_leaves_the_search(read: Read) -> None:
    """--set fixes a knob, whether the file fixed it, searched it or did not name it."""
    text = HEAD + CORPUS + "[config]\nepochs = 9\n" + SEARCH + "beta_alpha = true\nloss = true"
    study = read(text, sets=["epochs=2", "loss = ce_mixup", "learning_rate=1"]).study

    assert {"epochs": 2, "loss": "ce_mixup", "learning_rate": 1} == study.config
    assert ["beta_alpha"] == list(study.space())


def test_the_demo_is_shipped_and_sound() -> None:
    """Every shipped study can be read by its name."""

    assert "demo" in shipped_studies()
    for name in shipped_studies():
        found = read_study(name)
        assert name == found.name
        assert found.source.startswith(b"#")


# ---- what is wrong


def test_all_mistakes_are_reported_at_once(read: Read) -> None:
    """Six mistakes are six messages in the order of the file, each with place, rule and nearest name."""
    text = """
title = "Six mistakes"
trainable = "contrastive_mixup"
objective = [{ metric = "err", goal = "minimize" }]
seeds = "3"
[corpus]
trian = "synthetic"
[search]
trials = 0
[search.space]
beta_alpah = true
learning_rate = { low = 0.5, high = 0.05 }
"""

    assert [
        "objective[1].metric: contrastive_mixup has no metric 'err'; did you mean 'eer'? (choices: eer, min_dcf)",
        'seeds: must be an integer, but got "3"',
        "corpus.trian: no role 'trian'; did you mean 'train'? (choices: train, dev, test, trials, noise, rooms)",
        "search.trials: `trials >= 1` must hold, but got 0",
    ] == messages(read, text)[:4]
    assert messages(read, text)[4].startswith(
        "search.space.beta_alpah: contrastive_mixup has no knob 'beta_alpah'; did you mean 'beta_alpha'? (choices:"
    )
    [last] = messages(read, text)[5:]

    assert "search.space.learning_rate: `low < high` must hold, but got low=0.5, high=0.05" == last


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title = \n", "line 1, column 9: not TOML: Invalid value"),
        ("title = 'x", 'end of file: not TOML: Expected "\'"'),
        ("a = 1\na = 2\n", "line 2, column 6: not TOML: Cannot overwrite a value"),
    ],
    ids=["no value", "open quote", "key twice"],
)
def test_a_syntax_error_is_one_problem_with_its_line(read: Read, text: str, expected: str) -> None:
    """Nothing else can be said about a file that is no TOML."""
    [message] = messages(read, text)

    assert message.startswith(expected)


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    (tmp_path / "x.toml").write_bytes(b"seeds = 1\ntitle = '\xfc'")
    with pytest.raises(StudyError, match=r"x.toml: line 2: must be UTF-8 text"):
        read_study(str(tmp_path / "x.toml"))


WRONG = {
    # key: (what follows the head, the one message)
    "unknown key": ("sedes = 2\n" + CORPUS, "sedes: a study has no such key; did you mean 'seeds'?"),
    "knob at the top": (
        "epochs = 2\n" + CORPUS,
        "epochs: a study has no such key; 'epochs' is a knob and goes into [config]",
    ),
    "knob in [search]": (
        CORPUS + "[search]\ntrials = 2\nbeta_alpha = true\n[search.space]\nloss = true",
        "search.beta_alpha: [search] has no such key; 'beta_alpha' is a knob and goes into [search.space]",
    ),
    "trials at the top": ("trials = 2\n" + CORPUS, "trials: a study has no such key; it goes into [search]"),
    "seeds below a table": (
        CORPUS + "[search]\nseeds = 3\ntrials = 2\n[search.space]\nloss = true",
        "search.seeds: [search] has no such key; it goes to the top of the file, above the first [table]",
    ),
    "seeds in [config]": (
        CORPUS + "[config]\nseeds = 3\n",
        "config.seeds: contrastive_mixup has no knob 'seeds'; as a key of the study it goes to the top of the file",
    ),
    "unknown resource": (
        CORPUS + "[resources]\nworker = 2",
        "resources.worker: [resources] has no such key; did you mean 'workers'?",
    ),
    "unknown knob": (
        CORPUS + "[config]\nlr = 0.1",
        "config.lr: contrastive_mixup has no knob 'lr' (choices: loss, beta_alpha",
    ),
    "dash": (
        CORPUS + "[config]\ncrop-s = 1.0",
        "config.crop-s: contrastive_mixup has no knob 'crop-s'; did you mean 'crop_s'?",
    ),
    "quoted number": (CORPUS + '[config]\nepochs = "9"', 'config.epochs: must be an integer, but got "9"'),
    "float for a count": (CORPUS + "[config]\nepochs = 9.0", "config.epochs: must be an integer, but got 9.0"),
    "choice misspelled": (
        CORPUS + '[config]\nloss = "contrastive-mixup"',
        "config.loss: must be one of the choices, but got \"contrastive-mixup\"; did you mean 'contrastive_mixup'?",
    ),
    "width": (
        CORPUS + "[config]\nwidth = 12",
        "config.width: must be one of the choices, but got 12 (choices: 4, 8, 16, 32)",
    ),
    "out of the domain": (
        CORPUS + "[config]\nlearning_rate = 0",
        "config.learning_rate: `learning_rate > 0` must hold, but got 0",
    ),
    "nan": (CORPUS + "[config]\nlearning_rate = nan", "config.learning_rate: must be a finite number, but got nan"),
    "between knobs": (
        CORPUS + "[config]\nbatch_utterances = 3\ntrain_utterances = 2",
        "config.train_utterances: `train_utterances >= batch_utterances` (or 0, all) must hold",
    ),
    "between knobs, searched": (
        CORPUS + "[config]\ntrain_utterances = 2\n" + SEARCH + "batch_utterances = { low = 2, high = 4 }",
        "search.space.batch_utterances: `train_utterances >= batch_utterances` (or 0, all) must hold",
    ),
    "range as a list": (
        CORPUS + SEARCH + "beta_alpha = [0.1, 0.5]",
        "search.space.beta_alpha: must be true or a table: write { low = 0.1, high = 0.5 } or { choices = [0.1, 0.5] }",
    ),
    "choices as a list": (
        CORPUS + SEARCH + 'loss = ["ap", "ce_mixup"]',
        'search.space.loss: must be true or a table: write { choices = ["ap", "ce_mixup"] }',
    ),
    "false": (
        CORPUS + SEARCH + "loss = true\nvolume = false",
        "search.space.volume: must be true or a table; to leave a knob out",
    ),
    "a fixed value": (
        CORPUS + SEARCH + "beta_alpha = 0.3",
        "search.space.beta_alpha: must be true or a table, but got 0.3; one fixed value goes into [config]",
    ),
    "no own range": (
        CORPUS + SEARCH + "epochs = true",
        "search.space.epochs: the knob has no range of its own, so `true` says nothing",
    ),
    "low alone": (
        CORPUS + SEARCH + "beta_alpha = { low = 0.1 }",
        "search.space.beta_alpha: needs low and high, but high is missing",
    ),
    "min for low": (
        CORPUS + SEARCH + "beta_alpha = { min = 0.1, high = 1.0 }",
        "search.space.beta_alpha.min: a range knows no such key (choices: low, high, log, step, choices)",
    ),
    "low = high": (
        CORPUS + SEARCH + "beta_alpha = { low = 0.1, high = 0.1 }",
        "search.space.beta_alpha: `low < high` must hold, but got low=0.1, high=0.1",
    ),
    "log from zero": (
        CORPUS + SEARCH + "beta_alpha = { low = 0, high = 1, log = true }",
        "search.space.beta_alpha: `low > 0` must hold where log = true, but got low=0",
    ),
    "log as a word": (
        CORPUS + SEARCH + 'beta_alpha = { low = 0.1, high = 1, log = "yes" }',
        'search.space.beta_alpha.log: must be true or false, but got "yes"',
    ),
    "log and step": (
        CORPUS + SEARCH + "beta_alpha = { low = 0.1, high = 1, log = true, step = 0.1 }",
        "search.space.beta_alpha: either log = true or a step, but got both",
    ),
    "steps that miss": (
        CORPUS + SEARCH + "beta_alpha = { low = 0.1, high = 1, step = 0.2 }",
        "search.space.beta_alpha: `high` must be `low` plus whole steps, but got low=0.1, high=1, step=0.2",
    ),
    "low out of the domain": (
        CORPUS + SEARCH + "learning_rate = { low = -1, high = 1 }",
        "search.space.learning_rate.low: `learning_rate > 0` must hold, but got -1",
    ),
    "float bound of a count": (
        CORPUS + SEARCH + "embedding_size = { low = 32.0, high = 64 }",
        "search.space.embedding_size.low: must be an integer, but got 32.0",
    ),
    "range of choices": (
        CORPUS + SEARCH + "width = { low = 4, high = 16 }",
        "search.space.width: the knob has choices, no range: write true or { choices = [4, 8, 16, 32] }",
    ),
    "wrong choice": (
        CORPUS + SEARCH + 'loss = { choices = ["ap", "contrastive"] }',
        'search.space.loss.choices: must be one of the choices, but got "contrastive"',
    ),
    "choice twice": (
        CORPUS + SEARCH + "width = { choices = [4, 4] }",
        "search.space.width.choices: every choice once, but got [4, 4]",
    ),
    "one choice": (
        CORPUS + SEARCH + "width = { choices = [4] }",
        "search.space.width.choices: a search needs at least two choices",
    ),
    "choices and low": (
        CORPUS + SEARCH + "beta_alpha = { choices = [0.1, 0.2], low = 0.1 }",
        "search.space.beta_alpha: either `choices` or a range, but got choices and low",
    ),
    "nothing searched": (CORPUS + SEARCH, "search.space: a search needs at least one knob to search (choices: loss,"),
    "fixed and searched": (
        CORPUS + "[config]\nbeta_alpha = 0.2\n" + SEARCH + "beta_alpha = true",
        "search.space.beta_alpha: the knob is searched here and fixed in [config]; take out one of the two",
    ),
    "searched without effect": (
        CORPUS + '[config]\nloss = "ap"\n' + SEARCH + "beta_alpha = true\nlearning_rate = true",
        'search.space.beta_alpha: the knob has no effect in any trial: it needs loss = "ce_mixup" or',
    ),
    "without effect by its parent": (
        CORPUS + '[config]\nmixup_level = "log_mel"\n' + SEARCH + "volume = true",
        'search.space.volume: the knob has no effect in any trial: it needs mixup_level = "waveform"',
    ),
    "without effect by what is searched": (
        CORPUS + '[config]\nloss = "ap"\n' + SEARCH + "width = true\nvolume = true",
        "search.space.volume: the knob has no effect in any trial",
    ),
    "sampler": (
        CORPUS + '[search]\ntrials = 2\nsampler = "TPE"\n[search.space]\nloss = true',
        "search.sampler: must be one of the choices, but got \"TPE\"; did you mean 'tpe'? (choices: tpe, random, qmc)",
    ),
    "stopper": (
        CORPUS + '[search]\ntrials = 2\nstopper = "hyperband"\n[search.space]\nloss = true',
        'search.stopper: must be one of the choices, but got "hyperband" (choices: none, asha, median)',
    ),
    "grace": (
        CORPUS + "[search]\ntrials = 2\ngrace = 0\n[search.space]\nloss = true",
        "search.grace: `grace >= 1` must hold, but got 0",
    ),
    "reduction": (
        CORPUS + "[search]\ntrials = 2\nreduction = 1\n[search.space]\nloss = true",
        "search.reduction: `reduction >= 2` must hold, but got 1",
    ),
    "no space": (
        CORPUS + "[search]\ntrials = 2",
        "search.space: is missing: write [search.space] with a line for each",
    ),
    "no trials": (CORPUS + "[search.space]\nloss = true", "search.trials: is missing: write trials = 12"),
    "true for a count": (CORPUS + "[resources]\nworkers = true", "resources.workers: must be an integer, but got true"),
    "no workers": (CORPUS + "[resources]\nworkers = 0", "resources.workers: `workers >= 1` must hold, but got 0"),
    "gpus": (
        CORPUS + "[resources]\ngpus_per_worker = 1.5",
        "resources.gpus_per_worker: a share of one GPU (up to 1) or whole GPUs",
    ),
    "negative gpus": (
        CORPUS + "[resources]\ngpus_per_worker = -1",
        "resources.gpus_per_worker: `gpus_per_worker >= 0` must hold",
    ),
    "role of later": (
        CORPUS + 'teacher = "synthetic"',
        "corpus.teacher: contrastive_mixup makes no use of the role 'teacher' in this version; leave it out (choices:",
    ),
    "no train": ('[corpus]\ndev = "synthetic"', "corpus.train: is missing: write train = "),
    "source is a number": ("[corpus]\ntrain = 3", "corpus.train: must be a source or a list of sources, but got 3"),
    "no source": ("[corpus]\ntrain = []", "corpus.train: must have at least 1 entry, but got []"),
    "empty source": ('[corpus]\ntrain = ""', "corpus.train[1]: must not be empty"),
    "no corpus": ("", 'corpus: is missing: write [corpus] with train = "synthetic"'),
    "single brackets": (CORPUS + '[arm]\nname = "AP"', "arm: arms are a list: write [[arm]] with two brackets"),
    "double brackets": (
        CORPUS + "[[search]]\ntrials = 2",
        "search: there is one search: write [search] with one bracket",
    ),
    "arms": (CORPUS + '[[arms]]\nname = "AP"', "arms: a study has no such key; did you mean 'arm'?"),
    "arm named paper": (
        CORPUS + '[[arm]]\nname = "paper"\nconfig = { loss = "ap" }',
        "arm[1].name: the arm 'paper' is always there, it is the baseline; give this one another name",
    ),
    "arm twice": (
        CORPUS + '[[arm]]\nname = "A"\nconfig = { loss = "ap" }\n[[arm]]\nname = "A"\nconfig = { beta_alpha = 0.2 }',
        "arm[2].name: every arm has a name of its own, but 'A' comes twice",
    ),
    "arm without a name": (CORPUS + '[[arm]]\nconfig = { loss = "ap" }', "arm[1].name: is missing"),
    "arm's unknown knob": (
        CORPUS + '[[arm]]\nname = "A"\nconfig = { los = "ap" }',
        "arm[1].config.los: contrastive_mixup has no knob 'los'; did you mean 'loss'?",
    ),
    "knob beside the arm's config": (
        CORPUS + '[[arm]]\nname = "A"\nloss = "ap"',
        "arm[1].loss: [arm] has no such key; 'loss' is a knob and goes into the arm's config",
    ),
    "arm is the baseline": (
        CORPUS + '[[arm]]\nname = "A"\nconfig = { beta_alpha = 0.1 }',
        "arm[1]: is the same configuration as the arm 'paper': no knob that has an effect differs",
    ),
    "arm between knobs": (
        CORPUS + '[[arm]]\nname = "A"\nconfig = { train_utterances = 2, batch_utterances = 3 }',
        "arm[1].config.train_utterances: `train_utterances >= batch_utterances`",
    ),
    "confirm without search": (
        CORPUS + "[confirm]\ntop = 3",
        "confirm: needs a [search]: it measures the search's best",
    ),
    "seeds in the corpus": (
        CORPUS + "seeds = 3\n" + SEARCH + "loss = true",
        "corpus.seeds: no role, but a key of the study; it goes to the top of the file, above the first [table]",
    ),
    "confirm nothing": (
        CORPUS + "[confirm]\ntop = 0\n" + SEARCH + "loss = true",
        "confirm.top: `top >= 1` must hold, but got 0",
    ),
    "confirm what": (CORPUS + "[confirm]\n" + SEARCH + "loss = true", "confirm.top: is missing: write top = 3"),
    "comparison": (
        'comparison = "pairs"\n' + CORPUS,
        "comparison: must be one of the choices, but got \"pairs\"; did you mean 'paired'? (choices: paired, welch)",
    ),
    "seed": ("seed = -1\n" + CORPUS, "seed: `seed >= 0` must hold, but got -1"),
}


@pytest.mark.parametrize(("body", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_one_precise_message(read: Read, body: str, expected: str) -> None:
    """What a researcher may get wrong is said once, with its place and the way out."""
    [message] = messages(read, HEAD + body)

    assert message.startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"contrastive_mixup"',
            '"contrastive-mixup"',
            "trainable: no trainable 'contrastive-mixup'; did you mean 'contrastive_mixup'?",
        ),
        ('"contrastive_mixup"', "3", "trainable: must be a string, but got 3"),
        ('"minimize"', '"maximize"', 'objective[1].goal: less eer is better: write goal = "minimize"'),
        (
            '"minimize"',
            '"min"',
            "objective[1].goal: must be one of the choices, but got \"min\"; did you mean 'minimize'?",
        ),
        (
            '[{ metric = "eer", goal = "minimize" }]',
            '"eer"',
            "objective: must be a list of one table, as objective = [{",
        ),
        (
            '[{ metric = "eer", goal = "minimize" }]',
            '{ metric = "eer", goal = "minimize" }',
            "objective: must be a list of one table",
        ),
        ('[{ metric = "eer", goal = "minimize" }]', "[]", "objective: must have at least 1 entry"),
        (
            "[{",
            '[{ metric = "min_dcf", goal = "minimize" }, {',
            "objective: one objective in this version: one metric decides",
        ),
        (', goal = "minimize"', "", "objective[1].goal: is missing"),
        ('title = "What is asked?"', "", "title: is missing: write title = "),
        ('"What is asked?"', '""', "title: must not be empty"),
    ],
)
def test_a_mistake_in_the_head_is_one_precise_message(read: Read, old: str, new: str, expected: str) -> None:
    """Title, trainable and objective."""
    [message] = messages(read, HEAD.replace(old, new) + CORPUS)

    assert message.startswith(expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sets": ["epohcs=3"]}, "--set epohcs: contrastive_mixup has no knob 'epohcs'; did you mean 'epochs'?"),
        ({"sets": ["epochs=many"]}, '--set epochs: must be an integer, but got "many"'),
        ({"sets": ["epochs"]}, "--set epochs: must be knob=value"),
        ({"sets": ["epochs="]}, "--set epochs=: must be knob=value"),
        ({"sets": ["=3"]}, "--set =3: must be knob=value"),
        ({"sets": ["learning_rate=.5"]}, "--set learning_rate: a number needs a digit before its point: .5"),
        ({"sets": ["epochs=1", "epochs=2"]}, "--set epochs: the knob is set twice"),
        ({"sets": ["loss=AP"]}, "--set loss: must be one of the choices, but got \"AP\"; did you mean 'ap'?"),
        ({"sets": ["loss=ap"]}, "search.space.beta_alpha: the knob has no effect in any trial"),
        ({"sets": ["beta_alpha=0.2"]}, "search.space: a search needs at least one knob to search"),
        (
            {"sets": ["train_utterances=2", "batch_utterances=4"]},
            "--set train_utterances: `train_utterances >= batch_utt",
        ),
        ({"trials": 0}, "--trials: `trials >= 1` must hold, but got 0"),
        ({"workers": 0}, "--workers: `workers >= 1` must hold, but got 0"),
        ({"corpus": ["trian=synthetic"]}, "--corpus trian: no role 'trian'; did you mean 'train'?"),
        (
            {"corpus": ["finetune=synthetic"]},
            "--corpus finetune: contrastive_mixup makes no use of the role 'finetune'",
        ),
        ({"corpus": ["noise=synthetic"]}, "--corpus noise: needs the role rooms beside it"),
        ({"sets": ["augmentation=true"]}, "--set augmentation: needs the roles noise and rooms in [corpus]: "),
        ({"seeds": 0}, "--seeds: `seeds >= 1` must hold, but got 0"),
        ({"scale": "paper"}, "--scale paper: the study has no scales"),
        ({"corpus": ["dev="]}, "--corpus dev=: needs a source"),
        ({"corpus": [""]}, "--corpus: needs a source"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_as_it_was_typed(read: Read, options: dict[str, object], expected: str) -> None:
    """A mistake on the command line is placed there, not in the file."""
    [message] = messages(read, HEAD + CORPUS + SEARCH + "beta_alpha = true", **options)

    assert message.startswith(expected)


def test_trials_of_a_study_that_searches_nothing(read: Read) -> None:
    """--trials is never dropped in silence."""

    assert ["--trials: the study searches nothing, so there is no number of trials to set"] == messages(
        read, HEAD + CORPUS, trials=3
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dmeo", "dmeo: no such shipped study, nor a file; did you mean 'demo'? (choices: "),
        ("demo.toml", "demo.toml: no such file; did you mean 'demo'?"),
        ("studies/none.toml", "studies/none.toml: no such file"),
        (".", ".: no such shipped study, nor a file (choices: "),
        ("./", "./: is a folder; a study is a TOML file"),
        ("", '"": no such shipped study, nor a file (choices: '),
    ],
)
def test_a_study_that_is_not_there(name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name or path says so, with the nearest shipped study."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError) as caught:
        read_study(name)

    assert str(caught.value).startswith(expected)


def test_an_error_is_a_value_error_that_can_be_pickled(read: Read) -> None:
    """It may cross processes with all its problems."""
    with pytest.raises(ValueError, match="seeds") as caught:
        read("seeds = 0\n" + HEAD + CORPUS)

    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


ODD_VALUES = (0, -1, 2.5, True, "", "x", [], [1], ["x", 2], {}, {"x": 1}, [{}], [{"name": 3}], {"low": "a", "high": []})
OPTIONS = {
    "scale": "paper",
    "corpus": ["dev=x.csv"],
    "trials": 3,
    "seeds": 2,
    "workers": 1,
    "sets": ["loss=ap", "epochs=1"],
}
FULL = """
seeds = 2
[corpus]
train = ["a.csv", { source = "b.csv", where = { gender = "F", age = { min = 20, max = 39 }, set = ["a", 2] } }]
test = { source = "c.csv" }
trials = "t.txt"
[config]
epochs = 3
[search]
trials = 2
[search.space]
beta_alpha = { low = 0.1, high = 1.0, step = 0.1 }
loss = { choices = ["ap", "ce_mixup"] }
[confirm]
top = 1
[[arm]]
name = "A"
config = { width = 8 }
init_from = "B"
[[arm]]
name = "B"
init_from = { run = "runs/x", arm = "paper" }
[table]
caption = "c"
baseline = "paper"
metric = "eer"
cell = [
    { row = "paper", column = "y", arm = ["paper", "A"], published = { mean = 1.5, std = 0.2, n = 3 } },
    { row = "x", column = "y", confirmed = 1 },
]
[scale.paper]
seeds = 3
trials = 5
corpus = { train = { source = "d.csv", where = { gender = "F" } } }
config = { width = 16 }
resources = { workers = 4 }
[resources]
workers = 2
"""


@pytest.mark.parametrize("options", [{}, {"scale": "paper"}], ids=["as it is", "scaled"])
def test_resolved_is_the_study_that_is_run(read: Read, options: dict[str, Any]) -> None:
    """A study with everything in it is read again as the same study, by us and by whoever knows the models alone."""
    found = read(HEAD + FULL, **options)

    assert found.study == parse_study(found.resolved.encode(), label="resolved.toml")
    assert found.study == Study.model_validate(tomllib.loads(found.resolved))
    assert found.study.table is not None
    assert ({}, "paper") == (found.study.scale, found.study.table.baseline)
    assert "scale" not in tomllib.loads(found.resolved)


def test_a_study_of_an_older_run_stays_readable() -> None:
    """Runs of earlier versions keep the resolved study that these wrote."""
    path = Path(__file__).parents[1] / "reports/data/run_v1/resolved.toml"
    study = Study.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

    assert {"train": ["synthetic"]} == sources_of(study)
    assert study.config == parse_study(path.read_bytes(), label="resolved.toml").config


def places(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a study file, from its top-level keys down to single values."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, child in children for place in places(child, (*path, key))]


@pytest.mark.parametrize("place", places(tomllib.loads(HEAD + FULL)), ids=str)
def test_no_value_at_any_place_makes_the_checks_stumble(place: tuple[str | int, ...], tmp_path: Path) -> None:
    """Whatever stands anywhere, the answer is a study or a StudyError with sentences, never another exception."""
    for odd in ODD_VALUES:
        raw: Any = tomllib.loads(HEAD + FULL)
        node = raw
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = odd
        (tmp_path / "odd.toml").write_text(tomli_w.dumps(raw), encoding="utf-8")
        for options in ({}, OPTIONS):
            said = ["nothing"]
            try:
                read_study(str(tmp_path / "odd.toml"), **options)
            except StudyError as error:
                said = [str(problem) for problem in error.problems]

            assert said
            assert not [text for text in said if "Input should" in text or "Value error" in text]


def test_reading_needs_neither_torch_nor_ray() -> None:
    """`voxstudy check` answers at once."""
    code = "import sys, search_spaces.reading as r; r.read_study('demo'); print([m for m in HEAVY if m in sys.modules])"
    heavy = ["torch", "ray", "polars", "pyarrow", "pandas", "scipy", "sqlalchemy"]
    done = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", repr(heavy))], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()
