"""Splits, then balances: the order in which a run divides its rows."""

from dataclasses import replace

from melanoma_exp.data.balance import Balance
from melanoma_exp.data.samples import Parts, Plan, Samples
from melanoma_exp.data.splits import Split
from melanoma_exp.spec import UserError


def divide(
    samples: Samples, split: Split, balance: Balance, seed: int
) -> tuple[Parts, Plan, Samples]:
    """Splits, then balances; or the other way round where the published order is asked for.

    Returns:
        The parts, balanced rows in train; the plan of an epoch; the training images before
        balancing.
    """
    if split.balances_first:
        test = samples.take(samples.official == "test")
        if balance.kind == "sampling":
            raise UserError(
                "balance=sampling: draws training rows every epoch and so has none to divide; "
                "split=published balances first: choose another split or balance"
            )
        plan = balance.apply(samples.take(samples.official != "test"), seed)
        parts = split.apply(plan.samples.join(test))
        originals = parts.train.take(parts.train.copy == 0)
        return parts, replace(plan, samples=parts.train), originals
    parts = split.apply(samples)
    parts = replace(parts, train=split.limit(parts.train))
    plan = balance.apply(parts.train, seed)
    return replace(parts, train=plan.samples), plan, parts.train
