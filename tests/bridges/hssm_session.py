"""Facts about HSSM with this package's likelihoods, found in a process of their own: HSSM changes global settings.

Run as ``python hssm_session.py``; prints one JSON object.
"""

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import hssm  # noqa: E402
import numpy as np  # noqa: E402
import pytensor  # noqa: E402
from hssm.likelihoods.analytical import logp_ddm  # noqa: E402

import firstpassage as fp  # noqa: E402

INCLUDE = [{"name": "v", "formula": "v ~ 1 + stim + (1|participant_id)"}]


def trials():
    """Take a few trials of four subjects."""
    data = hssm.load_data("cavanagh_theta")
    data = data[data["participant_id"].isin(data["participant_id"].unique()[:4])]
    return data.groupby("participant_id").head(20).reset_index(drop=True)


def place(model):
    """Move the start to where every trial is possible: t = .2."""
    point = dict(model.pymc_model.initial_point())
    (name,) = [key for key in point if key.startswith("t_")]
    variable = model.pymc_model["t"]
    transform = model.pymc_model.rvs_to_transforms[variable]
    point[name] = np.asarray(transform.forward(np.asarray(0.2), *variable.owner.inputs).eval())
    return point


def analytic_gap(data):
    """Compare the exact log densities with HSSM's analytic ones."""
    found = []
    for v, a, z, t in ((0.5, 1.2, 0.45, 0.2), (-1.5, 0.6, 0.7, 0.1), (2.5, 2.2, 0.3, 0.25)):
        theirs = pytensor.function([], logp_ddm(data[["rt", "response"]].to_numpy(), v, a, z, t))()
        ours = fp.ddm().exact.log_prob(data, v=v, a=a, z=z, t=t)
        found.append(float(np.abs(ours - theirs)[theirs > -66].max()))
    return max(found)


def same_log_likelihood(data):
    """Compare the model's log density: HSSM's analytic likelihood and ours; a file of a network and the network."""
    learned = fp.pretrained("ddm", "nle")
    file = fp.to_onnx(learned, Path(tempfile.mkdtemp()) / "nle.onnx")
    bounds = {"bounds": {name: list(bound) for name, bound in learned.box.items()}}
    analytic = {"model": "ddm", "loglik_kind": "analytical", "p_outlier": 0, "model_config": bounds}
    values = {}
    for name, settings in {
        "analytic": analytic,
        "exact": fp.ddm().exact.to_hssm(),
        "nle": learned.to_hssm(),
        "onnx": learned.to_hssm() | {"loglik": str(file)},
    }.items():
        model = hssm.HSSM(data, **settings, include=INCLUDE)
        point = place(model)
        observed = model.pymc_model.observed_RVs
        log_likelihood = model.pymc_model.compile_logp(vars=observed)
        gradient = model.pymc_model.compile_dlogp(vars=model.pymc_model.free_RVs)
        values[name] = {"logp": float(log_likelihood(point)), "gradient": np.asarray(gradient(point)).tolist()}
    return values


def sampled(data):
    """Sample a ratio shortly, with HSSM's own evaluation of the log likelihood, and predict."""
    model = hssm.HSSM(data, **fp.pretrained("ddm", "nre").to_hssm(), include=INCLUDE)
    traces = model.sample(sampler="nutpie", draws=5, tune=200, chains=1, random_seed=1, progressbar=False)
    model.sample_posterior_predictive(draws=3)
    predicted = np.asarray(traces["posterior_predictive"]["rt,response"])
    return {
        "t": float(traces["posterior"]["t"].max()),
        "fastest": float(data["rt"].min()),
        "log_likelihood_is_nan": bool(np.isnan(traces["log_likelihood"]["rt,response"]).all()),
        "predicted_shape": list(predicted.shape),
        "responses": sorted(np.unique(predicted[..., 1]).tolist()),
    }


def posteriors():
    """Compare posteriors under the same priors, as the benchmark does, with fewer draws."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    import hssm_bridge

    data, settings = hssm_bridge.trials(), hssm_bridge.likelihoods()
    found = {name: hssm_bridge.run(data, settings[name], draws=300) for name in ("analytic", "exact", "nre")}
    return {name: hssm_bridge.compare(found[name], found["analytic"]) for name in ("exact", "nre")}


def refusals(data):
    """Collect the messages about data and settings that cannot be."""
    settings = fp.ddm().exact.to_hssm()
    milliseconds = data.assign(rt=data["rt"] * 1000)
    missing = data.assign(rt=np.where(data.index == 3, -999.0, data["rt"]))
    found = {}
    for name, call in {
        "milliseconds": lambda: hssm.HSSM(milliseconds, **settings),
        "missing": lambda: hssm.HSSM(missing, **settings, missing_data=True),
        "p_outlier": lambda: hssm.HSSM(data, **(settings | {"p_outlier": 0.05})),
    }.items():
        try:
            call()
            found[name] = "accepted"
        except fp.FirstPassageError as error:
            found[name] = str(error)
    return found


def robust(data):
    """Find the log density of a trial that is faster than the non-decision time, with lapses."""
    model = hssm.HSSM(data.assign(rt=np.where(data.index == 3, 0.05, data["rt"])),
                      **fp.ddm().exact.to_hssm(p_outlier=0.05))  # fmt: skip
    (observed,) = model.pymc_model.observed_RVs
    pointwise = model.pymc_model.compile_logp(vars=[observed], sum=False)
    return float(np.ravel(pointwise(place(model)))[3])


def single_precision(data):
    """Evaluate the model in float32."""
    hssm.set_floatX("float32")
    model = hssm.HSSM(data, **fp.pretrained("ddm", "nle").to_hssm(), include=INCLUDE)
    point = {name: np.asarray(value, "float32") for name, value in place(model).items()}
    return float(model.pymc_model.compile_logp(vars=model.pymc_model.observed_RVs)(point))


def main():
    """Print what was found."""
    logging.getLogger("hssm").setLevel(logging.ERROR)
    data = trials()
    found = {
        "analytic_gap": analytic_gap(data),
        "models": same_log_likelihood(data),
        "sampled": sampled(data),
        "posteriors": posteriors(),
        "refusals": refusals(data),
        "robust": robust(data),
        "single": single_precision(data),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
