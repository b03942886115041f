"""Certificates that claim what is not so, of many kinds, made from certificates that hold."""

from dataclasses import replace

import numpy as np

from nnrobust.nearest.proofs.digest import digest_of
from nnrobust.nearest.proofs.halfspace import Adversary


class Forger:
    """Forgeries of one certificate: each claims a radius above the true one, or a point nearer than it, or is no certificate."""

    def __init__(self, generator, certificate, others):
        self.generator, self.true, self.others = generator, certificate, others
        self.own = np.flatnonzero(certificate.labels == certificate.label)
        self.rivals = np.flatnonzero(certificate.labels != certificate.label)

    def far(self, **changes):
        """With bounds above the truth by a factor of 1 + 1e-8 to 1,000."""
        factor = 1 + 10.0 ** self.generator.uniform(-8, 3)
        return replace(self.true, lower=self.true.upper * factor, upper=np.inf, **changes)

    def near(self, x_adv, share=None):
        share = self.generator.uniform(0, 1 - 1e-8) if share is None else share
        return replace(self.true, lower=0.0, upper=self.true.lower * share, x_adv=x_adv)

    def weights(self, change):
        return self.far(
            multipliers={j: (i, change(w)) for j, (i, w) in self.true.multipliers.items()}, own=self.true.own
        )

    def on(self, own, weight=1.0):
        """Each rival has one multiplier on each reference `own(j)`."""
        found = {int(j): np.atleast_1d(own(j)) for j in self.rivals}
        return self.far(multipliers={j: (i, np.full(len(i), weight)) for j, i in found.items()})

    def any(self, of):
        return self.generator.choice(of)

    def on_other_data(self, references, labels, digest=None):
        changes = {"references": references, "labels": labels, "digest": digest or self.true.digest}
        own = np.flatnonzero(labels == self.true.label)
        return replace(self.true, own=own, multipliers={}, lower=self.true.upper * 1.01, upper=np.inf, **changes)

    def without_nearest_rivals(self):
        kept = np.setdiff1d(np.arange(len(self.true.labels)), self.nearest_rivals())
        return self.on_other_data(self.true.references[kept], self.true.labels[kept])

    def with_rivals_relabelled(self):
        labels = self.true.labels.copy()
        labels[self.nearest_rivals()] = self.true.label
        return self.on_other_data(self.true.references, labels)

    def nearest_rivals(self):
        place = self.true.query if self.true.metric is None else self.true.metric @ self.true.query
        squared = ((self.true.references[self.rivals].astype(float) - place) ** 2).sum(axis=1)
        return self.rivals[squared.argsort()[: max(1, len(self.rivals) // 2)]]

    def out_of_scale(self):
        """All of it in units whose squares leave float64, with a true digest."""
        c, scale = self.far(), 2.0 ** self.any([-1000, -600, -540, 540, 800])
        references = c.references.astype(float) * scale
        box = None if c.adversary.box is None else tuple(side * scale for side in c.adversary.box)
        return replace(c, references=references, digest=digest_of(references, c.labels, c.metric), query=c.query * scale,
                       lower=c.lower * scale, adversary=Adversary(c.adversary.norm, box))  # fmt: skip

    def of_another_norm(self):
        """The radius in L1 is no smaller than that in L2, and this no smaller than that in Linf."""
        smaller = {"L1": "Linf", "L2": "Linf", "Linf": "L7"}[self.true.adversary.norm]
        return replace(self.far(), adversary=Adversary(smaller, self.true.adversary.box))

    def kinds(self):
        c, draw, d = self.true, self.generator, len(self.true.query)
        way, inf, nan = c.x_adv - c.query, np.inf, np.nan
        return {
            "lower raised": lambda: self.far(),
            "both raised": lambda: replace(self.far(), upper=c.upper * 2000),
            "lower infinite": lambda: replace(c, lower=inf, upper=inf) if c.adversary.box is None else self.far(),
            "lower no number": lambda: replace(c, lower=nan),
            "lower no number, without a proof": lambda: replace(c, lower=nan, upper=inf, own=self.own[:1], multipliers={}),
            "upper no number": lambda: replace(c, upper=nan),
            "lower above upper": lambda: replace(c, lower=c.upper * 2),
            "lower below 0": lambda: replace(c, lower=-c.lower, upper=inf),
            "lower a text": lambda: replace(c, lower="1"),
            "upper lowered": lambda: self.near(c.x_adv),
            "the query as point": lambda: self.near(c.query, 0.0),
            "a point on the way": lambda: self.near(c.query + draw.uniform(0, 1 - 1e-6) * way),
            "a point of NaN": lambda: self.near(np.full(d, nan)),
            "a point with one NaN": lambda: self.near(np.where(np.arange(d) == draw.integers(d), nan, c.x_adv)),
            "a point at infinity": lambda: self.near(np.full(d, inf)),
            "the point of another query": lambda: self.near(self.any(self.others).x_adv),
            "a point of another shape": lambda: self.near(c.x_adv[:-1]),
            "a random point": lambda: self.near(c.query + c.lower / d * draw.uniform(-1, 1, d) * (1 - 1e-9)),
            "multipliers scaled down": lambda: self.weights(lambda w: w * 10.0 ** -draw.uniform(1, 320)),
            "multipliers scaled up": lambda: self.weights(lambda w: w * 10.0 ** draw.uniform(1, 300)),
            "multipliers negative": lambda: self.weights(lambda w: -w),
            "multipliers 0": lambda: self.weights(lambda w: 0 * w),
            "multipliers NaN": lambda: self.weights(lambda w: w * nan),
            "multipliers infinite": lambda: self.weights(lambda w: w * inf),
            "multipliers as whole numbers": lambda: self.weights(lambda w: np.ones(len(w), dtype=int)),
            "multipliers random": lambda: self.weights(lambda w: _of_size_1(draw.random(len(w)) + 1e-9)),
            "multipliers of many scales": lambda: self.weights(lambda w: _of_size_1(10.0 ** draw.uniform(-300, 0, len(w)))),
            "a multiplier too many": lambda: self.weights(lambda w: np.r_[w, 0.5]),
            "no multipliers": lambda: self.on(lambda j: np.array([], dtype=int)),
            "multipliers on the rival": lambda: self.on(lambda j: j),
            "multipliers on other rivals": lambda: self.on(lambda j: self.any(self.rivals)),
            "multipliers on a random own reference": lambda: self.on(lambda j: self.any(self.own)),
            "multipliers on all own references": lambda: self.on(lambda j: self.own),
            "tiny multipliers on own references": lambda: self.on(lambda j: self.any(self.own), 10.0 ** -draw.uniform(1, 323)),
            "multipliers on negative positions": lambda: self.on(lambda j: -1 - draw.integers(len(c.labels))),
            "multipliers beyond the references": lambda: self.on(lambda j: len(c.labels) + draw.integers(9)),
            "multipliers for an own reference": lambda: self.far(multipliers={int(self.own[0]): (self.own[:1], np.ones(1))}),
            "own of other classes": lambda: self.far(own=draw.permutation(self.rivals), multipliers={}),
            "own and one of another class": lambda: self.far(own=np.r_[self.own, self.any(self.rivals)]),
            "all own, shuffled": lambda: self.far(own=draw.permutation(self.own)),
            "no own": lambda: self.far(own=self.own[:0], multipliers={}),
            "own beyond the references": lambda: self.far(own=self.own + len(c.labels)),
            "own negative": lambda: self.far(own=self.own - len(c.labels)),
            "own as fractions": lambda: self.far(own=self.own + 0.5),
            "another label": lambda: replace(c, label=self.any(c.labels[self.rivals]), upper=inf),
            "a label that nothing has": lambda: replace(c, label=99, upper=inf),
            "label NaN": lambda: replace(c, label=nan, upper=inf),
            "query NaN": lambda: replace(self.far(), query=np.full(d, nan)),
            "query of another shape": lambda: replace(c, query=c.query[None]),
            "a query across the boundary": lambda: replace(c, query=c.x_adv + 1e-3 * way, upper=inf),
            "a box without the query": lambda: self.far(adversary=Adversary(c.adversary.norm, (c.query.max() + 1, c.query.max() + 2))),
            "a box inside out": lambda: self.far(adversary=Adversary(c.adversary.norm, (c.query.max() + 1, c.query.min() - 1))),
            "a box of NaN": lambda: self.far(adversary=Adversary(c.adversary.norm, (nan, nan))),
            "another norm": self.of_another_norm,
            "nearest rivals left out": self.without_nearest_rivals,
            "nearest rivals relabelled": self.with_rivals_relabelled,
            "references moved": lambda: self.on_other_data(np.roll(c.references, 1, axis=0), c.labels),
            "another digest": lambda: replace(c, digest=digest_of(c.references, np.append(c.labels, c.labels[0]), c.metric)),
            "no digest": lambda: replace(c, digest=""),
            "out of scale": self.out_of_scale,
        }  # fmt: skip


def _of_size_1(weights):
    return np.ldexp(weights, -np.frexp(weights.max())[1])
