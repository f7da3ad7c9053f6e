"""Rungs of the ladder as ONNX nodes: the same arithmetic as their plain arrays, in float64.

- All trees of all folds are one node. It compares in float64, as boosting did.
- A rung's levels are found by its own LabelEncoder: its rare levels are not the encoder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from models.graph import DOUBLE, ML, STRING
from models.linear import FAR, HUGE, Linear
from models.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.graph import Graph
    from models.model import Model

LEQ = 0  # of TreeEnsemble's node modes: a row goes to the true side where x <= split


def rungs(graph: Graph, model: Model) -> list[str]:
    """Emit every rung's part of the mean: double (N, K), or (N,) learned values."""
    columns = model.encoder.columns
    numbers = categories = ""
    if columns.numbers:
        numbers = graph.input("numbers", DOUBLE, ("N", len(columns.numbers)))
    if columns.categories:
        categories = graph.input("categories", STRING, ("N", len(columns.categories)))
    terms = []
    for part in model.rungs:
        share = part.share / model.total
        if isinstance(part.form, Trees):
            terms.append(trees(graph, part.form, numbers, categories, share))
        elif isinstance(part.form, Linear):
            terms.append(linear(graph, part.form, numbers, categories, share))
        else:
            message = f"a rung must be linear or trees to be exported, however: {part.form.kind}"
            raise TypeError(message)
    return terms


def trees(graph: Graph, form: Trees, numbers: str, categories: str, share: float) -> str:
    """Emit boosting: its share of the mean over folds, (N, K) or (N,)."""
    folds, outputs = form.base.shape
    asked = [numbers] if numbers else []
    for order, codes in zip(form.orders, _codes(graph, form.words, categories), strict=True):
        if order.shape[1]:
            placed = graph.add("Gather", graph.constant(order), codes, axis=0)
            asked.append(graph.reshape(placed, -1, order.shape[1]))
    features = graph.add("Concat", *asked, axis=1) if len(asked) > 1 else asked[0]
    if outputs == 1:
        # A mean of sums is one sum: one target for all folds.
        target, scale = np.zeros(len(form.root), dtype=np.int64), share / folds
        total = _ensemble(graph, form, features, target, scale)
        base = graph.constant(float(form.base.mean()) * share)
        return graph.reshape(graph.add("Add", total, base), -1)
    own, target = np.unique(form.fold * outputs + form.output, return_inverse=True)
    scores = _ensemble(graph, form, features, target, 1.0)
    if len(own) < folds * outputs:
        spread = np.zeros((len(own), folds * outputs))
        spread[np.arange(len(own)), own] = 1.0
        scores = graph.add("MatMul", scores, graph.constant(spread))
    scores = graph.add("Add", scores, graph.constant(form.base.reshape(1, -1)))
    return _mean(graph, graph.reshape(scores, -1, folds, outputs), 1, share)


def _ensemble(graph: Graph, form: Trees, features: str, target: np.ndarray, scale: float) -> str:
    """Emit the trees: features (N, n) -> sums of leaves (N, targets) by each tree's target."""
    leaf_target = np.zeros(len(form.value), dtype=np.int64)
    tree_of_node = np.searchsorted(form.root, np.arange(len(form.feature)), side="right") - 1
    for side in (form.left, form.right):
        leaf_target[~side[side < 0]] = target[tree_of_node[side < 0]]
    left, right = form.left.astype(np.int64), form.right.astype(np.int64)
    return graph.add(
        "TreeEnsemble",
        features,
        domain=ML,
        aggregate_function=1,
        post_transform=0,
        n_targets=int(target.max()) + 1,
        tree_roots=form.root.tolist(),
        nodes_featureids=form.feature.tolist(),
        nodes_modes=numpy_helper.from_array(np.full(len(left), LEQ, np.uint8), "modes"),
        nodes_splits=numpy_helper.from_array(form.threshold, "splits"),
        nodes_missing_value_tracks_true=form.missing.tolist(),
        nodes_truenodeids=np.where(left < 0, ~left, left).tolist(),
        nodes_falsenodeids=np.where(right < 0, ~right, right).tolist(),
        nodes_trueleafs=(left < 0).astype(int).tolist(),
        nodes_falseleafs=(right < 0).astype(int).tolist(),
        leaf_targetids=leaf_target.tolist(),
        leaf_weights=numpy_helper.from_array(form.value * scale, "leaves"),
    )


def linear(graph: Graph, form: Linear, numbers: str, categories: str, share: float) -> str:
    """Emit the linear rung: its share of the mean over folds, (N, K) or (N,)."""
    folds, outputs = form.bias.shape
    terms = []
    if numbers:
        absent = graph.add("IsNaN", numbers)
        held = graph.add("Clip", numbers, graph.constant(-HUGE), graph.constant(HUGE))
        filled = graph.add("Where", absent, graph.constant(form.median[:, None]), held)
        moved = graph.add("Sub", filled, graph.constant(form.center[:, None]))
        scaled = graph.add("Mul", moved, graph.constant(form.factor[:, None]))
        scaled = graph.add("Clip", scaled, graph.constant(-FAR), graph.constant(FAR))
        terms.append(graph.add("MatMul", scaled, graph.constant(form.weight)))
        if form.absent.any():
            flags = graph.add("Cast", absent, to=DOUBLE)
            terms.append(graph.add("MatMul", flags, graph.constant(form.absent)))
    if categories:
        starts = np.cumsum([0, *(len(added) for added in form.levels)])[:-1]
        codes = graph.add("Concat", *_codes(graph, form.words, categories, starts), axis=1)
        table = np.concatenate([added.reshape(-1, folds * outputs) for added in form.levels])
        found = graph.add("Gather", graph.constant(table), codes, axis=0)
        total = graph.add("ReduceSum", found, graph.constant([1], np.int64), keepdims=0)
        total = graph.reshape(total, -1, folds, outputs)
        terms.append(graph.add("Transpose", total, perm=[1, 0, 2]))
    scores = graph.constant(form.bias[:, None])
    for term in terms:
        scores = graph.add("Add", term, scores)
    if outputs > 1:
        return _mean(graph, scores, 0, share)
    scores = graph.add("Max", scores, graph.constant(form.low[:, None]))
    scores = graph.add("Min", scores, graph.constant(form.high[:, None]))
    mean = graph.add("ReduceMean", scores, graph.constant([0], np.int64), keepdims=0)
    return graph.reshape(graph.add("Mul", mean, graph.constant(share)), -1)


def _mean(graph: Graph, scores: str, axis: int, share: float) -> str:
    """Raw scores with folds along `axis` -> share times their mean probabilities (N, K)."""
    shares = graph.add("Softmax", scores, axis=-1)
    mean = graph.add("ReduceMean", shares, graph.constant([axis], np.int64), keepdims=0)
    return graph.add("Mul", mean, graph.constant(share))


def _codes(
    graph: Graph,
    words: Sequence[Sequence[str]],
    categories: str,
    starts: Sequence[int] | np.ndarray | None = None,
) -> list[str]:
    """Strings (N, c) -> int64 (N, 1) per column: places + 1 among its words, 0 for all else."""
    if not words:
        return []
    pieces = graph.split(categories, len(words), axis=1) if len(words) > 1 else [categories]
    offsets = np.zeros(len(words), int) if starts is None else starts
    return [
        graph.add(
            "LabelEncoder",
            piece,
            domain=ML,
            keys_strings=list(known) or [""],
            values_int64s=[int(start) + 1 + i for i in range(len(known))] or [int(start)],
            default_int64=int(start),
        )
        for piece, known, start in zip(pieces, words, offsets, strict=True)
    ]
