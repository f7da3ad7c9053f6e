"""The families of networks by name, each with the config of its sizes.

- Pure modules: no trainer, no logging. A family is a file here (`mlp.py`, `tabm.py`) and its
  emitter (`emit.py`); both read the same embeddings (`embed.py`, `emit_columns.py`).
"""

from __future__ import annotations

from models.embed import Embedding, Shape
from models.mlp import MLP, Activation, MLPConfig
from models.tabm import TabM, TabMConfig

__all__ = [
    "CONFIGS",
    "MLP",
    "NETWORKS",
    "Activation",
    "Embedding",
    "MLPConfig",
    "Shape",
    "TabM",
    "TabMConfig",
]

CONFIGS: dict[str, type[MLPConfig]] = {"mlp": MLPConfig, "tabm": TabMConfig}
NETWORKS: dict[str, type[MLP]] = {"mlp": MLP, "tabm": TabM}
