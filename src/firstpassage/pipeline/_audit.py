"""The audit of one estimator: items, each with a verdict in words, and the card made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from firstpassage.pipeline import _page


@dataclass(frozen=True, eq=False, kw_only=True)
class Item:
    """Hold one question that was asked of an estimator, and the answer.

    Parameters
    ----------
    name : str
        Short, such as ``"coverage"``.
    question : str
        What was asked, in one sentence.
    ok : bool or None
        Passed, failed, or not tested.
    words : str
        The answer, with the numbers that decide; or why it was not tested.
    numbers : mapping
        All numbers.
    picture : bytes, optional
        A PNG.
    caption : str
        Of the picture.
    seconds, cpu_seconds : float
        Wall and CPU time of the question, shared evenly by its items; what several need counts for the first.
    """

    name: str
    question: str
    ok: bool | None
    words: str
    numbers: Mapping[str, Any]
    picture: bytes | None = None
    caption: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def state(self) -> str:
        """Say "passed", "failed" or "not tested"."""
        return "not tested" if self.ok is None else "passed" if self.ok else "failed"


@dataclass(frozen=True, eq=False, kw_only=True)
class Audit:
    """Hold all items of one estimator.

    Parameters
    ----------
    model, kind : str
        Of the estimator.
    items : tuple of Item
        In the order of the card.
    seed : int
        Of everything.
    fast : bool
        Whether the short audit was run.
    seconds : float
        Wall time.
    card : mapping
        What is known of the estimator's training.
    """

    model: str
    kind: str
    items: tuple[Item, ...]
    seed: int
    fast: bool
    seconds: float
    card: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Tell whether no item failed."""
        return not any(item.ok is False for item in self.items)

    @property
    def headline(self) -> str:
        """Say the outcome in one sentence."""
        counts = {state: [i.name for i in self.items if i.state == state] for state in ("passed", "failed")}
        untested = len(self.items) - sum(map(len, counts.values()))
        text = f"{self.model} {self.kind}: {'short ' if self.fast else ''}audit "
        text += f"passed {len(counts['passed'])} of {len(self.items)} items"
        if counts["failed"]:
            text += f", FAILED {', '.join(counts['failed'])}"
        return text + (f", {untested} not tested." if untested else ".")

    def summary(self) -> dict[str, Any]:
        """List what goes into the estimator's card.

        Returns
        -------
        dict
            ok, headline, seed, fast and, by item, state and words.
        """
        items = {i.name: {"state": i.state, "words": i.words} for i in self.items}
        return {"ok": self.ok, "headline": self.headline, "seed": self.seed, "fast": self.fast, "items": items}

    def numbers(self) -> dict[str, Any]:
        """List everything for audit.json.

        Returns
        -------
        dict
            The summary, the training, by item question, verdict and numbers, and apart from these, which are the
            same in each run, the time that each item took.
        """
        items = {
            i.name: {"question": i.question, "state": i.state, "words": i.words, "numbers": dict(i.numbers)}
            for i in self.items
        }
        known = {k: v for k, v in self.card.items() if k not in ("audit", "schema")}
        cost = {i.name: {"seconds": round(i.seconds, 2), "cpu_seconds": round(i.cpu_seconds, 2)} for i in self.items}
        return {**self.summary(), "seconds": self.seconds, "cost": cost, "estimator": known, "items": items}

    def page(self) -> str:
        """Write the card as one page of HTML that needs no other file.

        Returns
        -------
        str
            HTML.
        """
        card = self.card
        facts = [
            f"Trained on {card.get('pairs', 0):,} simulations in {card.get('cpu_seconds', 0) / 60:.1f} CPU minutes, "
            f"seed {card.get('seed')}; never on a density. Versions: "
            + ", ".join(f"{name} {text}" for name, text in card.get("versions", {}).items())
            + ".",
            f"The audit took {self.seconds:.0f} s, seed {self.seed}; firstpassage check makes it again.",
        ]
        state = "" if self.ok else ' class="bad"'
        title = f"Audit of {self.model} {self.kind}"
        parts = [f"<h1>{escape(title)}</h1>", f"<p{state}>{escape(self.headline)}</p>"]
        parts += [f'<p class="small">{escape(text)}</p>' for text in facts]
        parts += [_table(self.items), *(_section(item) for item in self.items)]
        return _page.page(f"audit of {self.model} {self.kind}", parts)


def _table(items: tuple[Item, ...]) -> str:
    """List all verdicts."""
    rows = [
        f'<tr><td>{escape(i.name)}</td><td class="text{" bad" if i.ok is False else ""}">{i.state}</td>'
        f'<td class="text">{escape(i.words)}</td></tr>'
        for i in items
    ]
    return f"<table><tr><th>item</th><th>verdict</th><th>in words</th></tr>{''.join(rows)}</table>"


def _section(item: Item) -> str:
    """Write one item: question, verdict, picture."""
    text = f"<h2>{escape(item.name)}: {item.state}</h2><p>{escape(item.question)}</p><p>{escape(item.words)}</p>"
    return text + (_page.picture(item.picture, item.caption) if item.picture else "")
