"""The stage `evaluate`: how well the network does, part by part and class by class, and where it errs.

Under DVC it measures `models/model.npz`. `python -m pipeline.evaluate FOLDER` measures the network of another
run, into that run's folder. Of several folders it measures each, and then all of them as a committee, whose
predictions are averaged.
"""

from pipeline.support.program import program

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.data.dataset import Dataset, Part, digest_part, in_own_units
from pipeline.nn.fast import forward_in_blocks
from pipeline.nn.measurement import measure_part
from pipeline.nn.metrics import DIGITS, WORDS, Metrics, RegressionErrors, formatted, roc_auc, rounded
from pipeline.runs.copies import check_copies
from pipeline.runs.evaluation import (
    PredictedNumbers,
    Predictions,
    new_tally,
    parts_with_rows,
    reported_part,
    true_classes,
    write_csv,
    write_metrics,
    write_predicted_numbers,
    write_predictions,
)
from pipeline.runs.models import TrainedModel, classify, predict_numbers
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, chosen_runs, files_of
from pipeline.support.errors import UserError
from pipeline.tracking import MirrorProcess


def main(run: Run) -> None:
    """Measure the network of `run` on its data; write three files to the run's `reports/`."""
    with files_of(run):
        evaluate(TrainedRun.open(run))


def main_of_several(runs: Sequence[Run]) -> None:
    """Measure the networks of `runs`, each as `main` does, and then all of them as a committee.

    Raises:
        UserError: before anything is measured, if they cannot be one.
    """
    committee = []
    for run in runs:
        with files_of(run):
            committee.append(TrainedRun.open(run))
    check_committee(committee)
    for trained in committee:
        with files_of(trained.run):
            evaluate(trained)
    averaged = averaged_accuracies(committee)
    by_part = {part: {"accuracy": share} for part, share in averaged.items()}
    told = in_a_sentence(by_part) or "no part of the data is the same for all and new to all"
    print(f"committee of {len(committee)}: {told}")


def evaluate(trained: TrainedRun) -> None:
    """Measure the network of a run and write what `main` says."""
    run, dataset, model = trained.run, trained.dataset, trained.model
    check_copies(trained.copies.count, dataset.task)
    with MirrorProcess(run, trained.config, "evaluate"):
        metrics = measure_parts(model, dataset)
        if trained.copies.count > 1:
            for name, share in averaged_accuracies([trained]).items():
                metrics[name]["averaged_accuracy"] = share
        write_metrics(run.metrics, metrics)
        part = parts_with_rows(dataset)[reported_part(dataset)]
        if dataset.task == "regression":
            table = measure_targets(model, part, dataset)
            true = in_own_units(part.targets.astype(np.float64), dataset.targets)
            numbers = PredictedNumbers(true, predict_numbers(model, part.inputs, dataset.targets))
            write_predicted_numbers(run.predictions, numbers, dataset.targets)
        else:
            predictions = predict_classes(model, part)
            table = measure_classes(predictions, dataset.classes, f"{dataset.example}s")
            write_predictions(run.predictions, predictions, dataset.classes)
        write_csv(run.classes, list(table[0]), (row.values() for row in table))
        print(f"{dataset.title}: {in_a_sentence(metrics)}", flush=True)


def measure_parts(model: TrainedModel, dataset: Dataset) -> dict[str, Metrics]:
    """Return the metrics on each part of `dataset` that has rows, of two classes with the ROC AUC."""
    metrics = {
        name: measure_part(model, part, new_tally(dataset)) for name, part in parts_with_rows(dataset).items()
    }
    if len(dataset.classes) == 2:
        for name, part in parts_with_rows(dataset).items():
            area = roc_auc(scores_of_the_second_class(model, part), true_classes(part) == 1)
            if area is not None:
                metrics[name]["roc_auc"] = area
    return metrics


def scores_of_the_second_class(model: TrainedModel, part: Part) -> np.ndarray:
    """Return how sure the network is that each row of `part` is of the second of two classes, (n,).

    These are pre-activations: of a single output, or the difference of two. The probabilities would not do:
    near 0 and 1 they are rounded until many are equal.
    """
    z = np.concatenate([z[-1] for _, z, _ in forward_in_blocks(model, part.inputs)])
    return z[:, 1] - z[:, 0] if z.shape[1] == 2 else z[:, 0]


def averaged_accuracies(committee: Sequence[TrainedRun]) -> dict[str, float]:
    """Return the accuracy of averaged predictions on each part but the training part.

    The average is over the networks of the `committee` and, for each, over the distorted copies that its
    configuration asks for. Only parts that are the same for all networks count: one network may have been
    trained on what another is tested on, such as the images of a fold.
    """
    parts = [parts_with_rows(run.dataset) for run in committee]
    accuracies = {}
    for name in committee[0].log_probabilities:
        if len({digest_part(each[name]) if name in each else "" for each in parts}) == 1:
            total = sum(run.log_probabilities[name] for run in committee)
            accuracies[name] = float((np.argmax(total, axis=1) == true_classes(parts[0][name])).mean())
    return accuracies


def check_committee(committee: Sequence[TrainedRun]) -> None:
    """Raise `UserError` if a network is there twice, or if they do not tell the same classes apart."""
    folders = [trained.run.folder.resolve() for trained in committee]
    for trained, folder in zip(committee, folders, strict=True):
        if folders.count(folder) > 1:
            raise UserError(f"{trained.run.folder} is there twice: its network would count twice")
    first = committee[0].dataset
    alike = all(
        (each.dataset.name, each.dataset.classes) == (first.name, first.classes) for each in committee
    )
    if first.task == "regression" or not alike:
        raise UserError(
            "predictions can be averaged only of networks that tell the same classes apart, and not those of"
            f" {', '.join(str(trained.run.folder) for trained in committee)}"
        )


def in_a_sentence(metrics: Mapping[str, Metrics]) -> str:
    """Return `metrics` by part in words: `accuracy 97.13% (train), 95.60% (test)`."""
    names = dict.fromkeys(metric for values in metrics.values() for metric in values)
    return "; ".join(
        f"{WORDS[metric]} "
        + ", ".join(
            f"{formatted(metric, values[metric])} ({part})"
            for part, values in metrics.items()
            if metric in values
        )
        for metric in names
    )


def predict_classes(model: TrainedModel, part: Part) -> Predictions:
    """Return what the network takes each example of `part` for, and how sure it is of it."""
    labels = true_classes(part)
    classes, probabilities = classify(model, part.inputs)
    return Predictions(labels, classes, probabilities[np.arange(len(classes)), classes])


def measure_classes(predictions: Predictions, classes: Sequence[str], examples: str) -> list[dict[str, Any]]:
    """Return number of `examples`, precision, recall and F1 of each of `classes`, a row a class.

    Precision is the share of the examples taken for a class that are of it. Recall is the share of its
    examples that are taken for it. F1 is their harmonic mean. Each is 0 where there is nothing to take a
    share of, as in scikit-learn, whose import would take longer than the stage.
    """
    confusion = predictions.confusion_matrix(len(classes))
    right, taken, there = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    shares = {
        "precision": right / np.maximum(taken, 1),
        "recall": right / np.maximum(there, 1),
        "f1": 2 * right / np.maximum(taken + there, 1),
    }
    return [
        {
            "class": name,
            examples: int(there[i]),
            **{share: round(float(values[i]), DIGITS) for share, values in shares.items()},
        }
        for i, name in enumerate(classes)
    ]


def measure_targets(model: TrainedModel, part: Part, dataset: Dataset) -> list[dict[str, Any]]:
    """Return number of rows and metrics on `part` of each target of a regression, a row a target."""
    tally = new_tally(dataset)
    assert isinstance(tally, RegressionErrors)
    measure_part(model, part, tally)
    metrics = tally.by_target()
    return [
        {
            "target": target.name,
            "rows": len(part.inputs),
            **{metric: rounded(metric, float(values[i])) for metric, values in metrics.items()},
        }
        for i, target in enumerate(dataset.targets)
    ]


if __name__ == "__main__":
    chosen = chosen_runs(__doc__)
    with program(stage="evaluate" if chosen[0].is_dvcs() else None):
        if len(chosen) > 1:
            main_of_several(chosen)
        else:
            main(chosen[0])
