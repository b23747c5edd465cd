"""What `voxstudy evaluate` is asked to score: the sources by role, held against what would be opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.manifest import RunError
from search_spaces.overrides import ROLE_SOURCE, is_pairs
from search_spaces.problems import nearest_name
from search_spaces.study import Source
from trainables.corpora.corpus import CorpusError
from trainables.corpora.examination import Progress
from trainables.corpora.scored import Scored, open_scored, scored_part
from trainables.corpora.sources import open_roles

SPLITS = ("test", "dev")
ROLES = ("train", "dev", "test", "trials")

Roles = dict[str, list[str | Source]]


@dataclass(frozen=True)
class Asked:
    """What is scored: the roles, and whether they are the run's own, as model.json keeps them."""

    roles: Roles
    is_own: bool


def asked_roles(facts: Mapping[str, Any], *, corpus: Sequence[str], trial_list: str | None, split: str) -> Asked:
    """The sources by role: those of the run, where the options do not say others; raises RunError for bad options.

    `SOURCE` replaces them all by split = SOURCE, `ROLE=SOURCE` one role; given several times it adds.
    """
    if split not in SPLITS:
        raise RunError(f"--split {split}: must be one of {', '.join(SPLITS)}{_near(split, SPLITS)}")
    given: Roles = {}
    is_bare = False
    problems = []
    for option in corpus:
        found = ROLE_SOURCE.fullmatch(option.strip())
        role, source = (found["role"], found["source"]) if found else (split, option.strip())
        is_bare = is_bare or found is None
        if role not in ROLES:
            problems.append(
                f"--corpus {option}: no role {role!r} is scored (roles: {', '.join(ROLES)}){_near(role, ROLES)}"
            )
        elif not source:
            problems.append(f"--corpus {option}: needs a source: --corpus SOURCE or --corpus ROLE=SOURCE")
        else:
            given.setdefault(role, []).append(source)
    if trial_list is not None:
        if "trials" in given:
            problems.append("--trial-list: there is --corpus trials=… already")
        given["trials"] = [trial_list]
    own = {} if is_bare else {role: _sources(each) for role, each in facts["corpus"]["roles"].items() if role in ROLES}
    problems += without_effect(given, own, trial_list=trial_list, split=split)
    if problems:
        raise RunError("\n".join(problems))
    if split == "dev" and "trials" in own:
        # A study's list of trials is one of test; how pairs are made holds for dev too.
        own["trials"] = [each for each in own["trials"] if isinstance(each, Source) and is_pairs(each.source)]
    return Asked({**own, **given}, is_own=not given)


def without_effect(given: Roles, own: Roles, *, trial_list: str | None, split: str) -> list[str]:
    """What is wrong with roles that are given and that nothing would be scored with."""
    has_own_sources = bool(given.get(split) or own.get(split))
    opened: tuple[str, ...] = (split, "trials") if has_own_sources else ("train", "dev", "test", "trials")
    why = f"{split} has sources of its own"
    if not has_own_sources and split == "dev":
        opened, why = ("train", "dev", "trials"), "dev comes from the sources of train"
    problems = [
        f"--corpus {role}=…: has no effect, for {why}: nothing but {' and '.join(opened)} would be opened"
        for role in given
        if role not in opened
    ]
    if split == "dev" and not has_own_sources and any(not is_pairs(text) for text in texts_of(given.get("trials", []))):
        option = "--trial-list" if trial_list is not None else "--corpus trials=…"
        problems.append(f"{option}: a list of pairs needs a corpus, but {why}; give one with --corpus dev=SOURCE")
    return problems


def open_asked(asked: Asked, *, split: str, sample_rate: int, progress: Progress | None) -> Scored:
    """Open the corpus that is scored; where it is split off train, as the study does it, all of the roles."""
    if asked.roles.get(split):
        return open_scored(asked.roles, split=split, sample_rate=sample_rate, progress=progress)
    splits = open_roles(asked.roles, sample_rate=sample_rate, progress=progress)
    if split == "dev":
        return scored_part(splits.dev, splits.rejected, splits.notes)
    if splits.test is None or splits.trials is None:
        raise CorpusError(*(note for note in splits.notes if "no test set" in note), "give one: --corpus SOURCE")
    return Scored(splits.test, splits.trials, splits.rejected, splits.notes)


def refuse_other_data(facts: Mapping[str, Any], scored: Scored, split: str) -> None:
    """Raise CorpusError if the run's own set is no longer what the run scored."""
    if split == "test":
        then, now = facts["corpus"]["test_fingerprint"], scored.pairs.fingerprint(scored.corpus)
    else:
        then = next((held["fingerprint"] for held in facts["corpus"]["held"] if held["role"] == split), None)
        now = scored.corpus.fingerprint
    if then is not None and then != now:
        raise CorpusError(
            f"{split}: not what the run scored (fingerprint {now[:12]}, then {then[:12]}): audio, labels, pairs or the "
            f"synthetic voices have changed since; score it as it is now with --corpus"
        )


def _sources(given: Sequence[Mapping[str, Any]]) -> list[str | Source]:
    return [Source.model_validate(each) for each in given]


def texts_of(given: Sequence[str | Source]) -> list[str]:
    """The sources as they were written."""
    return [each if isinstance(each, str) else each.source for each in given]


def _near(name: str, names: Sequence[str]) -> str:
    near = nearest_name(name, names)
    return f"; did you mean {near!r}?" if near else ""
