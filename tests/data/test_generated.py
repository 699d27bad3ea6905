import numpy as np

from pipeline.data.generated import alternating, generate, xor


def test_alternating_points() -> None:
    part = alternating(2)
    assert part.inputs.tolist() == [[0], [0.25], [0.5], [0.75]]
    assert part.targets.tolist() == [[0], [1], [0], [1]]
    most = alternating(20)
    assert len(np.unique(most.inputs)) == 2**20  # exact in float32
    assert most.inputs.max() == 1 - 2**-20


def test_xor_is_symmetric_and_true_where_one_of_two_is() -> None:
    part = xor()
    table = {tuple(corner): label for corner, [label] in zip(part.inputs.tolist(), part.targets, strict=True)}
    assert table == {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 0}


def test_all_of_a_generated_problem_is_there_to_be_learned_from() -> None:
    dataset = generate(kind="alternating", name="alternating", title="Alternating points", n=5)
    assert (len(dataset.train.inputs), len(dataset.test.inputs), len(dataset.official.inputs)) == (32, 0, 0)
    assert dataset.image_shape == (1, 1)
