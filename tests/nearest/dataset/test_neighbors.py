import numpy as np
import pytest

from nnrobust.data.datasets import Split
from nnrobust.errors import DataError
from nnrobust.nearest.dataset.neighbors import (
    build_indexes,
    class_distances,
    load_indexes,
    propose,
    save_indexes,
    search,
)
from nnrobust.runtime.seals import seal


def brute_force(queries, references):
    difference = queries[:, None].astype(np.int64) - references[None].astype(np.int64)
    return (difference**2).sum(axis=2)


def made(n, shape=(3, 16, 16), low=0, high=256, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(low, high, (n, *shape), dtype=np.uint8)
    return Split(images, np.arange(n) % 2, [str(i) for i in range(n)])


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(0, 256), (250, 256), (0, 2)])
def test_the_nearest_reference_is_that_of_brute_force(low, high):
    train, queries = made(600, low=low, high=high), made(200, low=low, high=high, seed=1).images.reshape(200, -1)
    for index in build_indexes(train, 2):
        expected = brute_force(queries, index.references.points)
        for squared, position in (search(index, queries), index.references.nearest(queries.astype(float))):
            assert np.array_equal(squared, expected.min(axis=1))
            assert np.array_equal(position, expected.argmin(axis=1))


def test_an_image_is_its_own_nearest_reference_at_distance_zero():
    train = made(300)
    index = build_indexes(train, 2)[1]
    squared, position = search(index, index.references.points)
    assert np.array_equal(position, np.arange(len(index)))
    assert not squared.any()


def test_the_result_does_not_depend_on_the_batch():
    index, queries = build_indexes(made(500), 2)[0], made(64, seed=1).images.reshape(64, -1)
    one_by_one = [search(index, query[None]) for query in queries]
    assert np.array_equal(search(index, queries), np.concatenate(one_by_one, axis=1))


def test_of_equal_references_the_first_is_given_even_when_all_candidates_are_equal():
    images = np.zeros((40, 1, 2, 2), dtype=np.uint8)
    images[:4] = 200
    index = build_indexes(Split(images, np.zeros(40, dtype=np.int64), [""] * 40), 1)[0]
    query = np.full((1, 4), 7, dtype=np.uint8)
    for squared, position in (search(index, query), index.references.nearest(query.astype(float))):
        assert (position.item(), squared.item()) == (4, 4 * 49)


def test_every_proposed_distance_is_within_its_error_bound():
    index, queries = build_indexes(made(400, (3, 32, 32)), 2)[0], made(50, (3, 32, 32), seed=1).images.reshape(50, -1)
    proposed, error, positions = propose(index, queries, 20)
    exact = np.take_along_axis(brute_force(queries, index.references.points), positions, axis=1)
    assert (np.abs(proposed - exact) <= error).all()


def test_more_neighbours_than_references_are_all_of_them():
    index = build_indexes(made(6), 2)[0]
    assert propose(index, index.references.points, 10)[0].shape == (3, 3)


def test_class_distances_are_those_of_brute_force():
    train = Split(made(90).images, np.arange(90) % 3, [""] * 90)
    table = class_distances(train, ["a", "b", "c"])
    flat = train.images.reshape(90, -1)
    assert table[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    for row, (first, second) in zip(table.itertuples(), [(0, 1), (0, 2), (1, 2)], strict=True):
        expected = brute_force(flat[train.labels == first], flat[train.labels == second]).min()
        assert row.distance == pytest.approx(np.sqrt(expected) / 255, abs=1e-9)
        assert brute_force(flat[[row.first_index]], flat[[row.second_index]]).item() == expected
        assert (train.labels[row.first_index], train.labels[row.second_index]) == (first, second)


def test_saved_indexes_find_what_the_built_ones_do(tmp_path):
    train = made(100)
    built = build_indexes(train, 2)
    save_indexes(built, tmp_path)
    loaded = load_indexes(tmp_path, train, 2)
    queries = made(20, seed=1).images.reshape(20, -1)
    for before, after in zip(built, loaded, strict=True):
        assert np.array_equal(search(before, queries), search(after, queries))


def test_a_flipped_bit_of_a_vector_and_exchanged_classes_are_errors_that_name_the_file(tmp_path):
    train = made(100)
    save_indexes(build_indexes(train, 2), tmp_path)
    first, second = tmp_path / "0.faiss", tmp_path / "1.faiss"
    whole, other = first.read_bytes(), second.read_bytes()
    for content in (whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:], other):
        first.write_bytes(content)
        with pytest.raises(DataError, match=r"0\.faiss: expected the sha256 .*run `dvc repro index`"):
            load_indexes(tmp_path, train, 2)


def test_indexes_of_other_data_are_refused(tmp_path):
    save_indexes(build_indexes(made(100), 2), tmp_path)
    with pytest.raises(DataError, match=r"0\.faiss: expected 45 images of 768 values, got 50 of 768"):
        load_indexes(tmp_path, made(90), 2)
    (tmp_path / "1.faiss").write_bytes(b"no index")
    seal(tmp_path)
    with pytest.raises(DataError, match="expected the indexes of 2 classes"):
        load_indexes(tmp_path, made(100), 2)
