"""One training on several devices: a process (rank) for each, of which this one is rank 0, and which devices those are.

Lightning would start the other ranks by running the command line again, which in a sweep is the whole sweep.
"""

import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch
from torch import distributed

from ser_lightning.config import TrainerConfig
from ser_lightning.errors import UserError

# Seconds after which ranks that wait for one of them that is silent give up.
PATIENCE = 600


def dealt_devices(number: int, devices: int, available: int) -> list[int]:
    """The devices of the run with this number among those that are trained side by side, dealt in turn.

    Raises `UserError` where a run wants more than there are.

    >>> dealt_devices(3, 1, 2), dealt_devices(1, 2, 4), dealt_devices(2, 2, 3)
    ([1], [2, 3], [1, 2])
    """
    if devices > available:
        raise UserError(f"trainer.devices={devices}: there are {available} here")
    return [(number * devices + place) % available for place in range(devices)]


def choose_devices(config: TrainerConfig, number: int) -> list[int] | int:
    """What Lightning's Trainer is told to use for the run with this number: GPUs by their place, or so many processes.

    Raises `UserError` where there are not enough.
    """
    if config.accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return dealt_devices(number, config.devices, torch.cuda.device_count())
    return len(dealt_devices(0, config.devices, os.cpu_count() or 1))


@contextmanager
def ranks(count: int, follow: Callable[[], object]) -> Iterator[None]:
    """In this context the process is rank 0 of `count`; the others call `follow`, which has to do what it does.

    Raises `UserError` where one of them dies. With a `count` of 1 nothing is different.
    """
    if count == 1:
        yield
        return
    threads, share = torch.get_num_threads(), max(1, (os.cpu_count() or 1) // count)
    port = _free_port()
    if multiprocessing.get_start_method() not in multiprocessing.get_all_start_methods():
        # A worker of joblib, whose own way the processes that it starts do not know
        multiprocessing.set_start_method("spawn", force=True)
    # Not forked, for threads and CUDA would not survive that
    spawn = multiprocessing.get_context("spawn")
    pipes = [spawn.Pipe(duplex=False) for _ in range(1, count)]
    others = [
        spawn.Process(target=_follow, args=(rank, count, port, share, sender, follow), daemon=True)
        for rank, (_, sender) in enumerate(pipes, start=1)
    ]
    before = dict(os.environ)
    try:
        for process in others:
            process.start()
        for process, (receiver, _) in zip(others, pipes, strict=True):
            if receiver not in wait([receiver, process.sentinel]):
                raise RuntimeError("a rank has died before it began")
        os.environ.update(_place(0, count, port))
        torch.set_num_threads(share)
        yield
    except RuntimeError as error:
        _blame(others, error)
        raise
    finally:
        for process in others:
            # Not terminated: Lightning would have them tell each other
            process.kill()
        if distributed.is_initialized():
            distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(threads)


@cache
def end_with_parent() -> None:
    """Let this process end when the one that started it as a worker is killed, instead of training on for nobody."""
    if multiprocessing.parent_process() is None:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _follow(rank: int, count: int, port: int, threads: int, sender: Connection, follow: Callable[[], object]) -> None:
    end_with_parent()
    sender.send(None)
    os.environ.update(_place(rank, count, port))
    torch.set_num_threads(threads)
    try:
        follow()
    except (UserError, KeyboardInterrupt):
        # Rank 0 says the same.
        sys.exit(1)


def _place(rank: int, count: int, port: int) -> dict[str, str]:
    """What Lightning and torch.distributed read."""
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in place.items()}


def _blame(others: Sequence[BaseProcess], error: RuntimeError) -> None:
    """Raise `UserError` if the cause of an error is that another rank has died."""
    for rank, process in enumerate(others, start=1):
        process.join(5)
        if process.exitcode:
            raise UserError(
                f"process {rank} of trainer.devices={len(others) + 1} ended with status {process.exitcode} in the "
                "midst of the training; the same command goes on"
            ) from error


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
