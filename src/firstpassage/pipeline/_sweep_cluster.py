"""Dask for a sweep: workers here or a scheduler elsewhere, orders to them, and again those whose worker died."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firstpassage.errors import ArtefactError, ModelError
from firstpassage.pipeline import _sweep_task
from firstpassage.pipeline._sweep_task import Order

if TYPE_CHECKING:
    from dask.distributed import Client

_LOG = logging.getLogger(__name__)
_LOOK = 0.2  # seconds between two looks at the futures
_ASK = 1.0  # seconds between two questions to the scheduler
_CONNECT = "10s"  # for a scheduler to answer
_ANY_PORT = "127.0.0.1:0"  # of the web server that a scheduler always has
_DEATHS = 10  # of workers on one order, after which Dask gives it back; a scheduler elsewhere has its own number
_GIVEN_BACK = 3  # times that Dask may give an order back before it counts as failed
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"
_QUIET = logging.CRITICAL + 1
_LOST = "the scheduler was lost before all runs were done. Start it and this again: what is done is kept."

Settled = Callable[[Order], None]
Looked = Callable[[Collection[str]], None]


@contextmanager
def connected(*, scheduler: str | None, workers: int, threads: bool) -> Iterator[Client]:
    """Start workers on this machine, or connect to a scheduler.

    Parameters
    ----------
    scheduler : str or None
        Address, such as ``"tcp://host:8786"``; None starts workers here.
    workers : int
        How many to start, of one thread each.
    threads : bool
        Threads of this process as workers, instead of processes of their own.

    Yields
    ------
    distributed.Client
        Closed at the end, and with it the workers that were started.

    Raises
    ------
    ArtefactError
        If the scheduler does not answer.
    ModelError
        If its address is none.
    """
    import dask
    from dask.distributed import Client

    chosen: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        **({"scheduler": "synchronous"} if threads else {}),  # as a task sets it, which threads would unset in turn
    }
    with dask.config.set(chosen), _silenced():
        if scheduler is not None:
            with _reached(scheduler) as client:
                yield client
            return
        with _started(workers, threads=threads) as cluster, Client(cluster, set_as_default=False) as client:
            yield client


def _started(workers: int, *, threads: bool) -> Any:
    """Start workers on this machine."""
    from dask.distributed import LocalCluster

    flags = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD}".strip()
    several = {"n_workers": workers, "threads_per_worker": 1, "env": {"XLA_FLAGS": flags}}
    sizes = {"n_workers": 1, "threads_per_worker": workers} if threads else several
    fixed: dict[str, Any] = {"memory_limit": 0, "dashboard_address": _ANY_PORT, "silence_logs": _QUIET}
    try:
        return LocalCluster(processes=not threads, **fixed, **sizes)
    except (OSError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise ArtefactError(f"{workers} workers could not be started ({said}). Try fewer, or threads.") from error


@dataclass(frozen=True, eq=False, kw_only=True)
class Orders:
    """Carry out orders by the workers of a client, one at a time for each worker.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    threads : bool
        Whether each thread of a worker takes orders.
    settled : callable
        Called with every order that has its row.
    looked : callable
        Called every second with the names of the orders at work.
    """

    client: Client
    threads: bool
    settled: Settled
    looked: Looked
    _futures: dict[str, Any] = field(default_factory=dict)
    _given_back: Counter[str] = field(default_factory=Counter)

    def carry_out(self, orders: Sequence[Order]) -> None:
        """Hand out all orders and wait until each has its row.

        Parameters
        ----------
        orders : sequence of Order
            With different names.

        Raises
        ------
        ArtefactError
            If the scheduler is lost, or a row cannot be written.
        """
        waiting, handed_out, asked = list(orders), dict[str, Order](), -_ASK
        try:
            while waiting or handed_out:
                for order in [one for one in handed_out.values() if self._ended(one)]:
                    del handed_out[order.name], self._futures[order.name]
                    self.settled(order)
                    asked = -_ASK
                if time.monotonic() - asked > _ASK:
                    asked = time.monotonic()
                    for order in waiting[: max(self._workers() - len(handed_out), 0)]:
                        waiting.remove(order)
                        handed_out[order.name] = order
                        self._submit(order)
                    self.looked(list(handed_out))
                time.sleep(_LOOK)
        finally:
            self._take_back()

    def _workers(self) -> int:
        """Count the orders that can be at work at once."""
        try:
            threads = self.client.nthreads()
        except (OSError, RuntimeError) as error:
            raise ArtefactError(_LOST) from error
        return sum(threads.values()) if self.threads else len(threads)

    def _submit(self, order: Order) -> None:
        """Submit one order, under a key of its own so that an earlier sweep's is never taken for it."""
        key = f"{order.name}-{uuid.uuid4().hex}"
        self._futures[order.name] = self.client.submit(_sweep_task.work, order, key=key, pure=False)

    def _ended(self, order: Order) -> bool:
        """Tell whether an order has its row; submit it again if its workers died."""
        from dask.distributed import KilledWorker

        future = self._futures[order.name]
        if future.status in ("pending", "finished"):
            return bool(future.status == "finished")
        if future.status != "error":
            raise ArtefactError(_LOST)
        error = future.exception()
        if isinstance(error, KilledWorker):
            self._given_back[order.name] += 1
            if self._given_back[order.name] < _GIVEN_BACK:
                _LOG.warning("%s: its worker died again and again; it is tried once more", order.name)
                self._submit(order)
                return False
            error = RuntimeError("its worker died again and again; it may need more memory than there is")
        _sweep_task.record(order, error, seconds=0.0)
        return True

    def _take_back(self) -> None:
        """Take back what is left; a run at work elsewhere goes on to its end."""
        if self._futures:
            self.client.cancel(list(self._futures.values()), force=True)


@contextmanager
def _reached(address: str) -> Iterator[Client]:
    """Connect to a scheduler."""
    from dask.distributed import Client

    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (ValueError, TypeError) as error:
        raise ModelError(f"scheduler must be an address such as tcp://host:8786; got {address!r} ({error}).") from None
    except OSError as error:
        raise ArtefactError(
            f"no Dask scheduler answers at {address}. Start one (dask scheduler), or check the address."
        ) from error
    with client:
        yield client


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what Dask says of workers that come and go from the terminal."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(_QUIET)
    try:
        yield
    finally:
        logger.setLevel(level)
