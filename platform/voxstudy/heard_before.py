"""Whether a net heard the voices that it is scored on: by the marks of its speakers, or else by its sources."""

import os

from reports.words import count, joined
from search_spaces.overrides import is_path
from trainables.corpora.corpus import Corpus
from trainables.corpora.scored import Scored
from trainables.exported import Model, speaker_mark
from voxstudy.asked import Asked, texts_of


def sentences_of(model: Model, scored: Scored, asked: Asked, split: str) -> list[str]:
    """Which net was scored on what, and whether it heard these voices before."""
    corpus = scored.corpus
    whose = f"the {split} set of its run" if asked.is_own else ", ".join(texts_of(asked.roles.get(split, [])))
    heard = f"{count(len(corpus), 'utterance')} of {count(corpus.num_speakers, 'speaker')}"
    on = whose or f"{split} of the sources of train"
    said = [f"{_upper(model.name)}, on {on}: {heard}, {len(scored.pairs):,} pairs."]
    held = model.facts["corpus"]["held"]
    if corpus.fingerprint in {each["fingerprint"] for each in held if each["role"] != split}:
        said.append("This very corpus was heard in training or chosen on: its error rates flatter the net.")
    known = heard_before(model, corpus)
    if known is None:
        return [*said, *same_sources(model, asked, split)]
    meant = {"train": "speakers it was trained on", "dev": "speakers of dev, on which settings may have been chosen"}
    told = [role for role in meant if known[role] and not (role == split and asked.is_own)]
    if told:
        parts = joined([f"{known[role]:,} as {meant[role]}" for role in told])
        said.append(
            f"Of these {count(corpus.num_speakers, 'speaker')} some are named as others were: {parts}. "
            "If they are the same people, the error rates flatter the net."
        )
    return said


def heard_before(model: Model, corpus: Corpus) -> dict[str, int] | None:
    """How many of a corpus's speakers are named as those of train and of dev; None if those are not known."""
    known = model.facts["corpus"]["speakers"]
    if known is None:
        return None
    names = {speaker_mark(name) for name in set(corpus.table["speaker"].to_pylist())}
    return {role: len(names & set(marks.split())) for role, marks in known.items()}


def same_sources(model: Model, asked: Asked, split: str) -> list[str]:
    """A warning if a source was trained or chosen on as well, where it is not known whose voices those were."""
    if asked.is_own:
        return []
    roles = model.facts["corpus"]["roles"]
    then = {_place(each["source"]) for role in ("train", "dev") for each in roles.get(role, ())}
    common = [text for text in texts_of(asked.roles.get(split, [])) if _place(text) in then]
    return [
        f"{text} was trained or chosen on as well; with which speakers is not known: "
        f"if with these, the error rates flatter the net."
        for text in common
    ]


def _place(source: str) -> str:
    """A source's text, a path in one form."""
    return os.path.abspath(source) if is_path(source) else source


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
