"""A pool of simulations larger than memory need be: written by killed processes, and trained from.

    python benchmarks/pool.py [--n 10000000] [--workers 2] [--kills 5] [--methods nre nle] [--budget 20000000]

Trials of the drift-diffusion model, one for each parameter set. One pool is written without interruption, for its
cost; another by a command that is killed by SIGKILL, with all its processes, at random moments and started again, and
must end with the same bytes. Estimators with their usual settings are then trained from the pool, each in a process of
its own, whose largest memory is that of the whole process, libraries and compilation included. `required` says what
must hold. Formats of a file are compared on 100,000 rows, each written and read `--rounds` times: medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import firstpassage as fp
from firstpassage.estimators import pools

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "results" / "pool.json"
SEED = 770_000
LARGEST = 3.0  # GB
TRAIN = """
import json, resource, sys, time
import numpy as np
import firstpassage as fp
name, pool, budget, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model = fp.ddm()
learned = {"nre": fp.NRE, "nle": fp.NLE}[name](model).fit(budget=budget, seed=seed, simulations=pool)
used = resource.getrusage(resource.RUSAGE_SELF)
unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
found = {"largest_memory_gb": used.ru_maxrss * unit / 1e9, "cpu_seconds": used.ru_utime + used.ru_stime}
found |= {key: learned.card[key] for key in ("pairs", "epochs", "loss", "validation_loss")}
theta = model.prior(20_000, seed=seed + 1)
data = model.likelihood(theta, trials=1, seed=seed + 2)
x = np.concatenate([data["rt"], data["response"]], axis=1)
gap = model.exact.log_prob(x, **theta) - learned.log_prob(x, **theta)
if name == "nle":
    found["divergence_nats_per_trial"] = float(gap.mean())
print(json.dumps(found))
"""


def main() -> None:
    """Write, kill, train, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--shard-size", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=["nre", "nle"], choices=["nre", "nle"])
    parser.add_argument("--budget", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    design = {name: value for name, value in vars(options).items() if name != "out"}
    report: dict[str, Any] = {"command": "python benchmarks/pool.py", "design": {**design, "seed": SEED}}
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        steps: dict[str, Callable[[], Any]] = {
            "formats": lambda: formats(rounds=options.rounds),
            "written": lambda: written(whole, options),
            "killed": lambda: killed(cut, whole, options),
            **{name: lambda name=name: trained(name, whole, options) for name in options.methods},
        }
        for name, step in steps.items():
            report[name] = step()
            print(name, json.dumps(report[name]), flush=True)
    largest = max((report[name]["largest_memory_gb"] for name in options.methods), default=0.0)
    report["required"] = {"largest_memory_gb": LARGEST, "met": largest < LARGEST and report["killed"]["same_bytes"]}
    report["machine"] = machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    if not report["required"]["met"]:
        raise SystemExit("a requirement was missed")


def command(into: Path, options: argparse.Namespace) -> list[str]:
    """Give the command that a user types."""
    return [
        sys.executable, "-m", "firstpassage.cli", "simulate", "ddm", "--n", str(options.n), "--seed", str(SEED),
        "--into", str(into), "--shard-size", str(options.shard_size), "--workers", str(options.workers),
    ]  # fmt: skip


def written(into: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write a pool, and measure the CPU of all processes and the size on disk."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command(into, options), check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    pool = pools.read(into)
    size = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
    return {
        "rows": pool.rows, "shards": len(pool.shards), "workers": options.workers, "cpu_seconds": round(cpu, 1),
        "wall_seconds": round(wall, 1), "megabytes": round(size / 1e6, 1),
    }  # fmt: skip


def killed(into: Path, whole: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Kill the command with all its processes at random moments, let it end, and compare the bytes."""
    rng, found = np.random.default_rng(SEED), []
    for _ in range(options.kills):
        process = subprocess.Popen(
            command(into, options), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = shards(into) + int(rng.integers(1, 2 * len(pools.read(whole).shards) // (2 * options.kills + 2)))
        while shards(into) < until and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        ended = process.poll() is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found.append({"shards": shards(into), "files": len(list(into.glob("*.npz"))), "ended_before": ended})
    subprocess.run(command(into, options), check=True, capture_output=True)
    names = [pools.INDEX, *(shard.file for shard in pools.read(whole).shards)]
    same = all((into / name).read_bytes() == (whole / name).read_bytes() for name in names)
    litter = [path.name for path in into.iterdir() if ".tmp-" in path.name]
    shutil.rmtree(into)
    return {"kills": found, "same_bytes": same, "litter": litter}


def shards(folder: Path) -> int:
    """Count the shards that an index lists."""
    index = pools.read_index(folder)
    return 0 if index is None else len(index["shards"])


def trained(name: str, pool: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, and report what it says at the end."""
    start = time.perf_counter()
    arguments = [sys.executable, "-c", TRAIN, name, str(pool), str(options.budget), str(SEED)]
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    times = found["pairs"] / (options.n - options.n // 10)
    return {**found, "times_each_row": round(times, 2), "wall_seconds": round(time.perf_counter() - start, 1)}


def formats(*, rounds: int) -> dict[str, Any]:
    """Compare ways to write a file of 100,000 rows."""
    model = fp.ddm()
    theta = model.prior(100_000, seed=SEED)
    double = theta | model.likelihood(theta, trials=1, seed=SEED)
    single = {name: value.astype(np.float32) for name, value in double.items()}
    ways = {
        "float64": (np.savez, double), "float64_compressed": (np.savez_compressed, double),
        "float32": (np.savez, single), "float32_compressed": (np.savez_compressed, single),
    }  # fmt: skip
    return {name: _format(save, table, rounds=rounds) for name, (save, table) in ways.items()}


def _format(save: Callable[..., None], table: dict[str, np.ndarray], *, rounds: int) -> dict[str, float]:
    """Time writing and reading."""
    writing, reading = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npz"
        for _ in range(rounds):
            start = time.process_time()
            save(path, **table)
            middle = time.process_time()
            with np.load(path, allow_pickle=False) as found:
                for name in found.files:
                    found[name]
            writing.append(middle - start)
            reading.append(time.process_time() - middle)
        size = path.stat().st_size / 1e6
    milliseconds = {"write": 1e3 * statistics.median(writing), "read": 1e3 * statistics.median(reading)}
    return {"megabytes": round(size, 2), **{f"{name}_cpu_ms": round(value, 2) for name, value in milliseconds.items()}}


def machine() -> dict[str, Any]:
    """Say where this was measured."""
    packages = ("firstpassage", "bayesflow", "jax", "joblib", "keras", "numpy")
    return {
        "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }  # fmt: skip


if __name__ == "__main__":
    main()
