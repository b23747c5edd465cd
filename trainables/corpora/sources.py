"""From the roles of a study to checked corpora: list the sources, share the rows, look at every file.

Imports neither torch nor ray: the driver opens corpora before it starts anything.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.banks import folder_problems, open_bank
from trainables.corpora.corpus import Corpus, CorpusError, Rejected, Source, build_corpus, kept
from trainables.corpora.examination import Progress, examine, too_many_bad
from trainables.corpora.pair_options import PairOptions
from trainables.corpora.roles import Entries, bank_places, list_roles, parse_source, shared
from trainables.corpora.splits import Splits, missing_for_scoring, missing_for_training
from trainables.corpora.trial_lists import TrialList
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs

__all__ = ["open_roles", "parse_source"]


def open_roles(
    roles: Mapping[str, Entries],
    *,
    sample_rate: int,
    min_s: float = 0.4,
    progress: Progress | None = None,
) -> Splits:
    """Open the corpora of a study: every file is decoded once, those that are no good are left out.

    `roles` gives the sources of train, and perhaps of dev and test, each perhaps with a filter, perhaps a list of
    trials of the test set, and perhaps where noise and rooms are; the waveforms will have `sample_rate` (Hz); files
    shorter than `min_s` are rejected; `progress` is called with (files looked at, files in all).

    A test set or a list of trials that is asked for and cannot be scored is an error; a test set that nobody asked for,
    split off train or an official partition of it, is then left out with a note.

    Raises CorpusError with every problem found: unknown sources, missing columns, more than a tenth of a source's rows
    bad, speakers in two splits, too little to train or to score, a list of trials that does not fit.
    """
    places, problems = bank_places(roles)
    if places:
        problems += folder_problems(**places)
    listed = list_roles(roles, sample_rate, problems)
    sources, share = listed.sources, shared(listed)
    # After all that is told from lists of files alone: making or reading a bank takes seconds.
    bank = open_bank(noise=places["noise"], rooms=places["rooms"], sample_rate=sample_rate) if places else None
    everything = pa.concat_tables([share.train, share.dev, share.test])
    heard, is_sound_N, silent, remarks = examine(
        everything, sources=sources, sample_rate=sample_rate, min_s=min_s, progress=progress
    )
    # A source in two roles is listed twice and rejects the same rows twice.
    rejected = tuple(dict.fromkeys([*listed.rejected, *silent]))
    looked_at: Counter[str] = Counter()
    for each in pc.value_counts(everything["source"]).to_pylist():
        looked_at[sources[each["values"]].text] += each["counts"]
    if problems := too_many_bad(rejected, silent, looked_at):
        raise CorpusError(*problems)

    def corpus(first: int, rows: pa.Table, pairs: PairOptions) -> Corpus:
        place = slice(first, first + len(rows))
        sound = kept(heard.slice(first, len(rows)), is_sound_N[place])
        bad = of_sources(rejected, rows, sources)
        return build_corpus(
            sound,
            sources=sources,
            sample_rate=sample_rate,
            rejected=bad,
            fingerprints=listed.fingerprints,
            balance=pairs.balance,
            most_pairs=pairs.most,
        )

    train, dev = corpus(0, share.train, PairOptions()), corpus(len(share.train), share.dev, listed.pairs)
    problems = [*missing_for_training(train), *missing_for_scoring("dev", dev.table, balance=dev.balance)]
    # A list that is given is taken as it is.
    test = corpus(len(share.train) + len(share.dev), share.test, PairOptions() if listed.trials else listed.pairs)
    trials: TrialPairs | None = None
    told: list[str] = []
    try:
        trials, told = trials_of(
            test, listed.trials, elsewhere=(("train", train), ("dev", dev)), is_asked_for=bool(roles.get("test"))
        )
    except CorpusError as error:
        problems += error.problems
    if problems:
        raise CorpusError(*problems)
    heard_in_training = f" bank {bank.fingerprint}" if bank is not None else ""
    prints = f"train {train.fingerprint} dev {dev.fingerprint}{heard_in_training}"
    return Splits(
        train=train,
        dev=dev,
        test=test if trials is not None else None,
        trials=trials,
        rejected=rejected,
        notes=tuple(dict.fromkeys([*listed.notes, *share.notes, *remarks, *told, *(bank.notes if bank else ())])),
        fingerprint=hashlib.sha256(prints.encode()).hexdigest(),
        test_fingerprint=trials.fingerprint(test) if trials is not None else None,
        bank=bank,
    )


def trials_of(
    test: Corpus, trials: TrialList | None, *, elsewhere: Sequence[tuple[str, Corpus]], is_asked_for: bool
) -> tuple[TrialPairs | None, list[str]]:
    """Return what is compared in the test set, None if it is to be left out, and notes.

    Raises CorpusError if a test set that is asked for, or that has a list, cannot be scored.
    """
    if trials is not None:
        if not len(test):
            raise CorpusError(trials.without_test())
        pairs = trials.pairs(test, elsewhere=elsewhere)
        speaker_N = test.table["speaker"].combine_chunks().dictionary_encode().indices.to_numpy()
        odd = int((pairs.label != (speaker_N[pairs.left] == speaker_N[pairs.right])).sum())
        told = (
            f"{trials.text}: {odd} of {len(pairs)} trials are labelled otherwise than their speakers say; kept as given"
        )
        return pairs, [told] if odd else []
    if problems := missing_for_scoring("test", test.table, balance=test.balance):
        if is_asked_for:
            raise CorpusError(*problems)
        return None, [f"no test set is scored: {problem}" for problem in problems]
    return trial_pairs(test), []


def of_sources(rejected: Sequence[Rejected], rows: pa.Table, sources: Sequence[Source]) -> tuple[Rejected, ...]:
    texts = {sources[number].text for number in pc.unique(rows["source"]).to_pylist()}
    return tuple(bad for bad in rejected if bad.source in texts)
