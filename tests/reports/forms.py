"""The contrastive mixup paper's tables as studies of arms, measured by nobody: rows for `handmade.run_of`.

`values` draw an arm's EER from its loss, its α and how many utterances a speaker has; each arm has the same seeds, and
what a seed adds is the same for all of them.
"""

import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

SEEDS = (1, 2, 3)
UTTERANCES = (2, 3, 5, 10)
ALPHAS = (0.1, 0.2, 0.4, 0.6)
AP = {2: (14.80, 0.25), 3: (12.32, 0.33), 5: (9.43, 0.14), 10: (6.63, 0.08)}
MIXUP = {2: (12.38, 0.24), 3: (10.53, 0.12), 5: (8.26, 0.07), 10: (6.05, 0.14)}
CORPUS = ("train", "dev", "test")


def table_3() -> dict[str, Any]:
    """Rows: utterances a speaker; columns: the AP loss, and mixup with the best of four α. 20 arms."""
    arms = [ap_arm(num) for num in UTTERANCES] + [mixup_arm(alpha, num) for num in UTTERANCES for alpha in ALPHAS]
    cells = []
    for num in UTTERANCES:
        place = {"row": str(num)}
        cells.append({**place, "column": "AP loss", "arm": ap_arm(num)["name"], "published": published(AP[num])})
        names = [mixup_arm(alpha, num)["name"] for alpha in ALPHAS]
        figure = published(MIXUP[num])
        cells.append({**place, "column": "contrastive mixup", "arm": names, "published": figure})
    table = {"caption": "EER with few utterances a speaker", "corner": "utterances", "baseline": "AP loss"}
    return study(arms, {**table, "cell": cells})


def alpha_table() -> dict[str, Any]:
    """Rows: the α of mixup and the one that dev chooses; columns: utterances a speaker, 0 for all of them. 20 arms."""
    counts = (*UTTERANCES, 0)
    arms = [mixup_arm(alpha, num) for num in counts for alpha in ALPHAS]
    cells = []
    for num in counts:
        column = str(num or "all")
        names = [mixup_arm(alpha, num)["name"] for alpha in ALPHAS]
        cells += [
            {"row": f"α {alpha}", "column": column, "arm": name} for alpha, name in zip(ALPHAS, names, strict=True)
        ]
        cells.append({"row": "chosen on dev", "column": column, "arm": names})
    table = {"caption": "EER by α and utterances a speaker", "corner": "α", "baseline": "α 0.1"}
    return study(arms, {**table, "cell": cells})


def table_2() -> dict[str, Any]:
    """One column, the baseline a row; the level of mixing is an arm, too. 3 arms beside "paper"."""
    arms = [
        {"name": "AP loss", "config": {"loss": "ap"}},
        {"name": "CE mixup", "config": {"loss": "ce_mixup"}},
        {"name": "log-mel", "config": {"mixup_level": "log_mel"}},
    ]
    rows = (("Original AP", "AP loss", (2.21, 0.03)), ("CE (6)", "CE mixup", (2.19, 0.01)))
    rows += (("Contrastive (7)", "paper", (2.11, 0.02)), ("Contrastive (7), log-mel", "log-mel", (2.44, 0.06)))
    cells = [{"row": row, "arm": arm, "published": published(figure)} for row, arm, figure in rows]
    table = {"caption": "EER by loss function", "corner": "loss function", "baseline": "Original AP"}
    return study(arms, {**table, "cell": cells})


def study(arms: list[dict[str, Any]], table: dict[str, Any]) -> dict[str, Any]:
    """A study of arms alone; the arm "paper" has all utterances."""
    corpus = dict.fromkeys(CORPUS, "synthetic")
    return {"title": "Table", "seeds": len(SEEDS), "corpus": corpus, "search": None, "arm": arms, "table": table}


def ap_arm(num: int) -> dict[str, Any]:
    """The AP loss with `num` utterances a speaker."""
    return {"name": f"AP loss, {num} utterances", "config": {"loss": "ap", "train_utterances": num}}


def mixup_arm(alpha: float, num: int) -> dict[str, Any]:
    """Contrastive mixup with α and `num` utterances a speaker."""
    return {"name": f"α {alpha}, {num or 'all'} utterances", "config": {"beta_alpha": alpha, "train_utterances": num}}


def published(figure: tuple[float, float]) -> dict[str, Any]:
    """A paper's figure."""
    return {"mean": figure[0], "std": figure[1], "n": 3}


def measured_rows(handmade: ModuleType, asked: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The trials of all arms and of "paper", each with a reading of the test set."""
    trials = list(_trials(handmade, asked))
    readings = []
    for row in trials:
        noise = random.Random(f"test {row['trial_id']}").gauss(0.0, 0.003)
        readings.append(handmade.reading(row, 1.1 * row["objective"] + noise))
    return trials, readings


def _trials(handmade: ModuleType, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    defaults = {"loss": "contrastive_mixup", "beta_alpha": 0.1, "train_utterances": 0, "mixup_level": "waveform"}
    for arm in ({"name": "paper", "config": {}}, *asked["arm"]):
        knobs = {**defaults, **arm["config"]}
        if knobs["loss"] == "ap":
            knobs |= {"beta_alpha": None, "mixup_level": None}
        for seed in SEEDS:
            value = _value(knobs) + random.Random(f"seed {seed}").gauss(0.0, 0.006)
            value += random.Random(f"{arm['name']} {seed}").gauss(0.0, 0.004)
            yield handmade.measured(
                arm["name"],
                seed,
                value,
                **{f"knob.{name}": value for name, value in knobs.items()},
                **{"knob.learning_rate": 1e-3},
            )


def _value(knobs: dict[str, Any]) -> float:
    """The AP loss's EER falls with more utterances; mixup gains with few of them, most near α 0.4 there."""
    num = knobs["train_utterances"] or 40
    value = 0.06 + 0.24 / num**0.5
    if knobs["beta_alpha"] is not None:
        value -= 0.05 / num * (1 - abs(knobs["beta_alpha"] - 0.4)) - (0.01 if knobs["loss"] == "ce_mixup" else 0.0)
    return value + (0.01 if knobs["mixup_level"] == "log_mel" else 0.0)
