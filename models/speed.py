"""What a model's graph costs: rows of one call, and seconds of 100,000 rows, estimated and measured.

- The estimate is arithmetic alone, so that it is the same on every machine and can bound an
  ensemble without making it depend on what else the machine does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from models.export import open_session, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.encode import Encoder
    from models.model import Model
    from models.population import Member, Population
    from models.rungs import Form

CELLS = 600_000  # activations of one call of the graph: bigger ones leave the cache
ROWS_TIMED = 100_000
CORES = 1.8  # what a second core adds is a little less than one core
RATE = 50e9  # products and sums per second and core, what lies between the products included
VISIT = 6e-9  # seconds and core for one node of a tree: half of the guesses which way fail
FILLED = 1.2e-10  # seconds and core for one product of an imputer or of components, all around it included
CELL = 1.5e-7  # seconds and core to hand in one cell of text and find its code
PRODUCT = (
    2e-9  # seconds and core for one product of a linear rung, in float64, all around it included
)


def chunk_of(model: Model) -> int:
    """Return how many rows one call of the graph should take: its activations fit the cache."""
    widest = max([_widest(model), *(part.form.widest for part in model.rungs), 1])
    return int(np.clip(CELLS // widest, 64, 8192))


def _widest(model: Model) -> int:
    """Return the most activations that one row has at a time in the networks."""
    most = 0
    for part in model.networks:
        population, used = part.population, part.shares > 0
        folds = len(np.unique(population.fold.cpu().numpy()[used]))
        shape, members = population.shape, int(used.sum())
        codes = folds * shape.numbers * shape.bins
        each = type(population.net).widest(population.config, shape)
        most = max(most, codes, members * each)
    if model.networks and model.encoder.filling is not None:
        most = max(most, model.encoder.filling.widest)
    return most


def estimated_seconds(model: Model) -> float:
    """Return what 100,000 rows should cost on two cores, from products and nodes visited alone.

    Measured: within 20 % for networks.
    """
    networks = (
        part.members * max(member_seconds(part.population, m) for m in part.population.members)
        for part in model.networks
    )
    parts = sum(networks) + sum(form_seconds(part.form) for part in model.rungs)
    if model.networks:  # rungs fill missing cells in their own ways
        return parts + encoder_seconds(model.encoder)
    return parts + text_seconds(len(model.encoder.columns.categories))


def encoder_seconds(encoder: Encoder) -> float:
    """Return what text, missing numbers and components cost for 100,000 rows, whatever reads them."""
    seconds = 0.0 if encoder.filling is None else encoder.filling.products * FILLED
    if encoder.reducing is not None:
        seconds += encoder.reducing.products * FILLED
    return text_seconds(len(encoder.columns.categories)) + seconds * ROWS_TIMED / CORES


def text_seconds(categories: int) -> float:
    """Return what text costs for 100,000 rows on two cores, whatever reads it."""
    return categories * CELL * ROWS_TIMED / CORES


def member_seconds(population: Population, member: Member) -> float:
    """Return what a member of a population costs for 100,000 rows on two cores."""
    config, shape = population.config, population.shape
    width = member.width or config.width
    size = {"piecewise": shape.bins, "periodic": 2 * config.frequencies}.get(config.embedding, 0)
    each = width * (config.inputs(shape) + (config.depth - 1) * width + shape.outputs)
    products = config.embedded(shape) * size + population.net.heads * each
    return 2 * products / RATE * ROWS_TIMED / CORES


def form_seconds(form: Form) -> float:
    """Return what a rung costs for 100,000 rows on two cores."""
    return (form.visits * VISIT + form.products * PRODUCT) * ROWS_TIMED / CORES


def seconds_of(graph: bytes, feeds: Mapping[str, np.ndarray], *, chunk: int, most: float) -> float:
    """Return the seconds that 100,000 rows take on two cores, from as few rows as say so.

    Time of one thread is what is measured, so that a busy machine does not shrink the ensemble;
    two cores are taken to do CORES times as much. The sample grows until it took a fiftieth of
    `most`; the quickest of three looks counts.
    """
    session = open_session(graph, threads=1)
    rows = len(next(iter(feeds.values())))
    size = chunk
    while True:
        index = np.arange(min(size, ROWS_TIMED)) % rows
        tiled = {key: value[index] for key, value in feeds.items()}
        spent = min(_thread_seconds(session, tiled, chunk) for _ in range(3))
        if size >= ROWS_TIMED or spent > most / 50:
            return spent * ROWS_TIMED / len(index) / CORES
        size *= 4


def _thread_seconds(session: Any, feeds: Mapping[str, np.ndarray], chunk: int) -> float:
    started = time.thread_time()
    run(session, feeds, chunk=chunk)
    return time.thread_time() - started
