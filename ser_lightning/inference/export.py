"""From a study's networks to a folder that others can use: graphs, weights, card; whole and checked, or not at all."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from math import nan
from pathlib import Path

import numpy as np
import torch
import yaml

from ser_lightning import __version__
from ser_lightning.components.part import TARGET
from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError, read_audio
from ser_lightning.files import write_folder
from ser_lightning.inference.card import CardFacts, Terms, front_matter, write_card
from ser_lightning.inference.corpus_recordings import Recordings
from ser_lightning.inference.exported import (
    CARD,
    CONFIG,
    DEVIATION,
    MEAN,
    RECORDINGS,
    SCHEMA,
    WEIGHTS,
    Contents,
    ExportedNetwork,
    read_export,
    recordings_of,
)
from ser_lightning.inference.graph import LOGITS, SINGLE, write_graphs
from ser_lightning.inference.graph_check import Check, check_graphs
from ser_lightning.inference.limits import Score, describe_test, read_test
from ser_lightning.inference.network import Network
from ser_lightning.inference.recognizer import Recognizer
from ser_lightning.inference.sources import Source

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
# How audonnx names what it reads; the version that it was tried with
AUDONNX, AUDONNX_FILE = "$audonnx.core.model.Model==1.0.1", "model.yaml"
# Recordings of the corpus that graphs are checked on
CHECKED = 12


def require_libraries() -> None:
    """Raise `UserError` where what writes and checks ONNX is not installed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UserError(f"exporting needs {' and '.join(missing)}: pip install 'ser-lightning[export]'")


def read_checked(recordings: Recordings) -> list[np.ndarray]:
    """Some recordings of a corpus, from all over it, [samples] each. Raises `UserError` where none can be read."""
    names = sorted(recordings.paths)
    waves, problems = [], []
    for place in np.linspace(0, len(names) - 1, CHECKED).round().astype(int):
        try:
            waves.append(read_audio(recordings.file(names[place])))
        except (BadRecordingError, UserError) as error:
            problems.append(f"{names[place]}: {error}")
    if not waves:
        raise UserError(f"no recording to check the export on could be read, e.g. {problems[0]}")
    return waves


def write_export(recognizer: Recognizer, terms: Terms, recordings: Sequence[np.ndarray], folder: Path) -> Check:
    """Write a folder of networks, which is there once its graphs are checked, and not before; returns their check.

    Args:
        recognizer: of a study or a run.
        terms: under what the model may be passed on.
        recordings: waves [samples] at 16 kHz to check the graphs on.
        folder: one that does not exist, or is empty.

    Raises `UserError` where a network has a part that ONNX cannot say, or a graph says another thing than its network.
    """
    networks, temperatures = recognizer.ensemble.networks, recognizer.ensemble.temperatures

    def fill(unfinished: Path) -> Check:
        write_graphs(networks, temperatures, unfinished)
        check = check_graphs(unfinished, networks, temperatures, recordings)
        _write_the_rest(recognizer, terms, check, unfinished, folder.name)
        # Whoever gets it is to read it too
        read_export(unfinished)
        return check

    return write_folder(folder, fill)


def _write_the_rest(recognizer: Recognizer, terms: Terms, check: Check, folder: Path, name: str) -> None:
    source, ensemble = recognizer.source, recognizer.ensemble
    assert isinstance(source, Source)
    # By what it was chosen says nothing of what it can
    description = str(replace(source, reason=""))
    for network in ensemble.networks:
        _write_weights(network, folder / f"{network.signature}{WEIGHTS}")
    (folder / AUDONNX_FILE).write_text(
        yaml.safe_dump({AUDONNX: {"path": SINGLE, "labels": {LOGITS: list(ensemble.classes)}}}, sort_keys=False)
    )
    unknown = "it was exported without the study's table of them" if ensemble.familiar.reason else ""
    if not unknown:
        (folder / RECORDINGS).write_text(json.dumps(recordings_of(ensemble.familiar)))
    test = read_test(source)
    words = describe_test(source, test)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}
    contents = Contents(
        library="ser_lightning",
        library_version=__version__,
        schema=SCHEMA,
        description=description,
        limits=words,
        classes=list(ensemble.classes),
        networks=[
            ExportedNetwork(network.signature, temperature, network.typical_seconds, _parts(network))
            for network, temperature in zip(ensemble.networks, ensemble.temperatures, strict=True)
        ],
        recordings=unknown,
        files=hashes,
    )
    (folder / CONFIG).write_text(json.dumps(asdict(contents), indent=1))
    first = source.results[0]
    part = "mean of the networks' own test parts"
    if len(source.results) == 1:
        part = "this network's own test part"
        test = replace(test, ua=Score(100 * first.ua, nan), wa=Score(100 * first.wa, nan))
    metadata = front_matter(name, terms, first.corpus, first.protocol, test, part)
    checked = (
        f"Both graphs were held against ser_lightning's float32 answers on {check.waves} recordings and cuts of them: "
        f"the largest difference of a logit or a number of `z` was {check.largest:.0e}."
    )
    recordings = "Which recordings the networks were trained on is not known here."
    if not unknown:
        recordings = f"`{RECORDINGS}` has hashes of the recordings that each network was trained on."
    facts = CardFacts(description, words, ensemble.classes, ensemble.temperatures, recordings, test.corpus, checked)
    (folder / CARD).write_text(write_card(name, metadata, facts, terms), encoding="utf-8")


def _write_weights(network: Network, file: Path) -> None:
    from safetensors.torch import save

    modules = {"encoder": network.encoder, "head": network.head}
    state = {f"{name}.{key}": tensor for name, module in modules.items() for key, tensor in module.state_dict().items()}
    moments = {MEAN: network.normalisation.mean, DEVIATION: network.normalisation.deviation}
    state |= {name: torch.from_numpy(values) for name, values in moments.items()}
    # Copies, since tied weights share their memory
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    file.write_bytes(save(copies))


def _parts(network: Network) -> dict[str, dict[str, object]]:
    return {group: {TARGET: part.target, **part.settings} for group, part in network.parts.items()}
