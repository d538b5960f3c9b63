"""Training steps and sampling on every device that JAX sees, and, where there is a GPU, how many times the CPU's rate.

    python benchmarks/device.py [--out benchmarks/results/device.json]

On each device, in a process of its own that sees no other: a network of three layers on pairs of the drift-diffusion
model, with the usual widths (32) and with wide ones (512), trained by contrastive ratio estimation for two epochs, of
which the second one is timed (the first one compiles); and `likelihood.sample` by the exact likelihood, 16 data sets of
200 trials with 4 chains each, the second call. Wall seconds, since a GPU's work is not CPU time. Without a GPU the
record says so, and holds the CPU alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import clock

OUT = Path(__file__).parent / "results" / "device.json"
SEED, PAIRS = 990_000, 65_536
NETWORKS = {"usual": {"widths": (32, 32, 32), "batch": 1024}, "wide": {"widths": (512, 512, 512), "batch": 8192}}
SETS, NUTS = 16, {"draws": 200, "tune": 200, "chains": 4}


def main() -> None:
    """Measure each kind of device in a new process, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--child", action="store_true", help="measure what JAX sees first, and print it")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured()))
        return
    record: dict[str, Any] = {"machine": clock.machine(), "devices": {}}
    for platform in platforms():
        done = subprocess.run(
            [sys.executable, __file__, "--child"], capture_output=True, text=True,
            env=os.environ | {"JAX_PLATFORMS": platform},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{platform}: {done.stderr.strip()[-500:]}")
        record["devices"][platform] = json.loads(done.stdout.strip().splitlines()[-1])
        print(platform, json.dumps(record["devices"][platform]), flush=True)
    clock.write(options.out, record | {"note": note(record["devices"])})


def platforms() -> list[str]:
    """List the kinds of devices, the CPU first, without keeping any of them busy."""
    read = "import jax; print(*{device.platform for device in jax.devices()} - {'cpu'})"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    return ["cpu", *({"gpu": "cuda"}.get(name, name) for name in sorted(done.stdout.split()))]


def note(devices: dict[str, Any]) -> str:
    """Say whether there was anything but a CPU."""
    return "cpu only: JAX sees no GPU here" if list(devices) == ["cpu"] else "several kinds of devices"


def measured() -> dict[str, Any]:
    """Measure the first device that JAX sees."""
    import jax

    device = jax.devices()[0]
    trained = {name: training(**settings) for name, settings in NETWORKS.items()}
    return {"name": device.device_kind, "platform": device.platform, "training": trained, "sampling": sampling()}


def training(*, widths: tuple[int, ...], batch: int) -> dict[str, float]:
    """Train two epochs, and time the second one."""
    import firstpassage as fp

    marks: list[float] = []
    settings = fp.NRE(fp.ddm(), widths=widths, batch=batch, epoch_pairs=PAIRS, validation=batch, patience=None)
    settings.fit(budget=2 * PAIRS, seed=SEED, progress=lambda _: marks.append(time.perf_counter()))
    seconds = marks[1] - marks[0]
    return {"steps_per_second": round(PAIRS / batch / seconds, 2), "pairs_per_second": round(PAIRS / seconds, 1)}


def sampling() -> dict[str, float]:
    """Sample many data sets twice, and time the second call."""
    import firstpassage as fp
    from firstpassage import diagnostics

    exact = fp.ddm().exact
    data = diagnostics.data_sets(fp.ddm(), number=SETS, trials=200, seed=SEED)
    exact.sample(data, seed=SEED, **NUTS)
    start = time.perf_counter()
    exact.sample(data, seed=SEED + 1, **NUTS)
    return {"data_sets_per_second": round(SETS / (time.perf_counter() - start), 3)}


if __name__ == "__main__":
    main()
