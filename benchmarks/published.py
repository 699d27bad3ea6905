"""Published results of plain networks, and which experiments are to match them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LECUN = "LeCun, Bottou, Bengio, Haffner 1998"
SIMARD = "Simard, Steinkraus, Platt 2003"
CIRESAN = "Cireşan, Meier, Gambardella, Schmidhuber 2010"
COMMITTEE = "Cireşan, Meier, Gambardella, Schmidhuber 2012"
SATO = "Sato, Nishimura, Yokoi 2015"
RASMUS = "Rasmus, Valpola, Honkala, Berglund, Raiko 2015"
XIAO = "submitted to Xiao, Rasul, Vollgraf 2017"

ALL_MNIST = ("split.train=60000", "split.test=0")
FASHION = ("dataset=fashion_mnist", *ALL_MNIST)
ONE_SEED = (0,)  # of networks that take more than an hour


@dataclass(frozen=True)
class Record:
    """A published result, and what is to match it.

    Attributes:
        experiment: the name of ours, in `conf/experiment`.
        title: what is trained.
        source: where the result was published.
        published: the error on the official test images, in percent.
        seeds: of our runs.
        changes: of the experiment.
        answers: whose error is reported: each network's at one look; each network's, averaged over distorted
            copies as its configuration asks; or that of all networks together, averaged likewise.
    """

    experiment: str
    title: str
    source: str
    published: float
    seeds: Sequence[int] = (0, 1, 2)
    changes: tuple[str, ...] = ()
    answers: Literal["one look", "averaged", "committee"] = "one look"


RECORDS = {
    "lecun_300": Record("lecun_300", "300, squared error", LECUN, 4.7),
    "lecun_300_100": Record("lecun_300_100", "300-100, squared error", LECUN, 3.05),
    "lecun_500_150": Record("lecun_500_150", "500-150, squared error", LECUN, 2.95),
    "simard_800": Record("simard_800", "800, cross-entropy", SIMARD, 1.6),
    "simard_800_affine": Record("simard_800_affine", "800, cross-entropy, affine distortions", SIMARD, 1.1),
    "simard_800_elastic": Record(
        "simard_800_elastic", "800, cross-entropy, elastic distortions", SIMARD, 0.7
    ),
    "permutation_invariant": Record(
        "permutation_invariant", "no knowledge of images, virtual adversarial training", RASMUS, 0.57
    ),
    "best_40000": Record("best", "best, on the first 40,000 images", CIRESAN, 0.35, seeds=ONE_SEED),
    "best_40000_averaged": Record(
        "best",
        "best, on the first 40,000 images, averaged over copies",
        SATO,
        0.26,
        seeds=ONE_SEED,
        answers="averaged",
    ),
    "best": Record("best", "best, on all 60,000 images", CIRESAN, 0.35, changes=ALL_MNIST),
    "best_averaged": Record(
        "best",
        "best, on all 60,000 images, averaged over copies",
        SATO,
        0.26,
        changes=ALL_MNIST,
        answers="averaged",
    ),
    "best_committee": Record(
        "best",
        "committee of 7 of best, averaged over copies",
        COMMITTEE,
        0.31,
        seeds=range(7),
        changes=ALL_MNIST,
        answers="committee",
    ),
    "fashion_simard_800": Record(
        "simard_800", "800, cross-entropy, on Fashion-MNIST", XIAO, 11.67, changes=FASHION
    ),
    "fashion_best": Record("best", "best, on Fashion-MNIST", XIAO, 11.67, seeds=ONE_SEED, changes=FASHION),
}
