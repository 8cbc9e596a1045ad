"""What the demo's users submit: one mixed queue, the same in every run.

Law: pure; the same seed gives the same submissions in the same order. Seconds throughout; `at` counts from
the start of the demo's day. The annotations are ordinary directives as a user types them; nothing here
knows prices, so the plan cannot leak into the workload. The slack is what makes moving possible and is
stated, not hidden: most annotated jobs give four to five minutes, 34 to 43 of the demo's half-hours.
Source: docs/reference/directive (the keys), `man sbatch` (the options).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum

SEED = 2026
USERS = ("alice", "bob", "carol")
# The partition that the demo's configuration opts in ([[directive.opt_in]]), and the ordinary one.
OPT_IN_PARTITION = "flex"


class Kind(StrEnum):
    """What a submission stands for; `consents` is what the product must make of it."""

    PLAIN = "plain"
    ANNOTATED = "annotated"
    SITE_DEFAULT = "site default"
    OPTED_OUT = "opted out"
    MALFORMED = "malformed"

    @property
    def consents(self) -> bool:
        """Whether its job may be moved."""
        return self in (Kind.ANNOTATED, Kind.SITE_DEFAULT)


@dataclass(frozen=True, slots=True)
class Submission:
    """One sbatch call. `runtime` is how long each task sleeps; the time limit is in Slurm's minutes."""

    name: str
    at: float
    user: str
    kind: Kind
    cpus: int
    runtime: int
    gpus: int = 0
    memory_mib: int = 512
    minutes: int = 1
    comment: str = ""
    partition: str = ""
    array: str = ""
    after: str = ""  # the submission whose job this one needs (afterok)
    begin: int = 0  # the user's own --begin, seconds after submission; 0: none
    held: bool = False  # submitted with --hold: it waits until its user says otherwise
    nice: int = 0  # by so much its user lets others go first

    @property
    def tasks(self) -> int:
        """Jobs that Slurm makes of it: 0 for a malformed one, the tasks of an array, else 1."""
        if self.kind is Kind.MALFORMED:
            return 0
        if not self.array:
            return 1
        first, last = self.array.split("%")[0].split("-")
        return int(last) - int(first) + 1

    @property
    def throttle(self) -> int:
        """How many tasks of the array may run at once (%N); 0: no bound."""
        return int(self.array.partition("%")[2] or 0)

    def argv(self, job_ids: dict[str, int]) -> list[str]:
        """The sbatch command, given the job ids of what was submitted before.

        Raises KeyError when the job it depends on was not submitted.
        """
        argv = [
            "sbatch",
            "--parsable",
            f"--job-name={self.name}",
            f"--time={self.minutes}",
            "--ntasks=1",
            f"--cpus-per-task={self.cpus}",
            f"--mem={self.memory_mib}",
            "--chdir=/tmp",
            "--output=/dev/null",
        ]
        if self.gpus:
            argv.append(f"--gres=gpu:{self.gpus}")
        if self.partition:
            argv.append(f"--partition={self.partition}")
        if self.array:
            argv.append(f"--array={self.array}")
        if self.after:
            argv.append(f"--dependency=afterok:{job_ids[self.after]}")
        if self.begin:
            argv.append(f"--begin=now+{self.begin}")
        if self.held:
            argv.append("--hold")
        if self.nice:
            argv.append(f"--nice={self.nice}")
        if self.comment:
            argv.append(f"--comment={self.comment}")
        return [*argv, f"--wrap=sleep {self.runtime}"]


# (directive, gpus, how many): what people write, from the loosest to the tightest.
_ANNOTATED = (
    ("flex: deadline=now+5minutes", 0, 4),
    ("flex: deadline=now+5minutes", 2, 2),
    ("nightly retrain; flex: deadline=now+5minutes power=300W/gpu", 2, 1),
    ("flex: max-delay=4", 1, 2),
    ("flex: start-by=now+4minutes", 1, 1),
    ("flex: start-by=now+4minutes", 0, 2),
    ("flex: class=overnight", 1, 1),
    ("flex: class=overnight", 0, 3),
    ("flex: deadline=now+5minutes max-price=80", 1, 1),
    ("flex: max-delay=00:02:30", 0, 2),
    ("flex: deadline=now+5minutes preempt=requeue min-run=00:00:10", 1, 1),
)
_NAMES = ("fold", "render", "embed", "index", "solve")
_PLAIN = ((0, 5), (1, 3), (2, 1))  # (gpus, how many)


def _chain() -> list[Submission]:
    """Three annotated jobs of one user that need each other; the deadline stands on the last."""
    prepare = Submission(
        "prepare", 12, "carol", Kind.ANNOTATED, 4, 40, comment="flex: class=overnight"
    )
    train = replace(
        prepare,
        name="train",
        at=12.5,
        gpus=2,
        runtime=45,
        after="prepare",
        comment="flex: class=overnight",
    )
    test = replace(
        prepare,
        name="test",
        at=13,
        runtime=35,
        after="train",
        comment="flex: deadline=now+7minutes",
    )
    return [prepare, train, test]


def _fixed() -> list[Submission]:
    """The cases that must be there, each once, at fixed moments."""
    return [
        *_chain(),
        Submission("misspelt", 5, "bob", Kind.MALFORMED, 4, 20, comment="flex: deadine=now+5minutes"),
        Submission(
            "sweep", 8, "alice", Kind.ANNOTATED, 4, 45, gpus=1, array="0-3",
            comment="flex: deadline=now+5minutes",
        ),
        Submission(
            "paced", 30, "bob", Kind.ANNOTATED, 4, 35, array="0-3%2", comment="flex: deadline=now+6minutes"
        ),
        Submission("plain-sweep", 20, "carol", Kind.PLAIN, 4, 35, array="0-3"),
        Submission("plain-first", 25, "alice", Kind.PLAIN, 8, 30),
        Submission("plain-second", 25.5, "alice", Kind.PLAIN, 8, 30, after="plain-first"),
        Submission("plain-later", 15, "bob", Kind.PLAIN, 8, 35, begin=40),
        # A plain job waits for this one, and nobody asked its owner: so it is not deferred (rule 6).
        Submission("needed", 35, "carol", Kind.ANNOTATED, 8, 35, comment="flex: deadline=now+5minutes"),
        Submission("plain-needs", 35.5, "bob", Kind.PLAIN, 8, 35, after="needed"),
    ]  # fmt: skip


def _partition_cases() -> list[tuple[Kind, str, int]]:
    """The partition whose jobs the site opts in: most stay, some users opt out.

    The jobs that stay say `flex:` alone (the site default, which they would have without it too), so that
    whoever reads the report's comments sees the consent there as well.
    """
    return [(Kind.SITE_DEFAULT, "flex:", gpus) for gpus in (0, 0, 0, 1)] + [
        (Kind.OPTED_OUT, "flex: off", gpus) for gpus in (0, 1)
    ]


def workload(seed: int = SEED, *, span: float = 70.0) -> tuple[Submission, ...]:
    """Everything that is submitted within `span` seconds of the day's start, in order of time."""
    draw = random.Random(seed)
    drawn: list[Submission] = []

    def add(kind: Kind, comment: str, gpus: int, partition: str = "") -> None:
        drawn.append(
            Submission(
                name=f"{_NAMES[len(drawn) % len(_NAMES)]}-{len(drawn) + 1}",
                at=round(draw.uniform(0, span), 1),
                user=draw.choice(USERS),
                kind=kind,
                cpus=draw.choice((2, 4)),
                runtime=draw.randint(35, 52),
                gpus=gpus,
                comment=comment,
                partition=partition,
            )
        )

    for comment, gpus, count in _ANNOTATED:
        for _ in range(count):
            add(Kind.ANNOTATED, comment, gpus)
    for gpus, count in _PLAIN:
        for _ in range(count):
            add(Kind.PLAIN, "", gpus)
    for kind, comment, gpus in _partition_cases():
        add(kind, comment, gpus, OPT_IN_PARTITION)
    return tuple(sorted([*drawn, *_fixed()], key=lambda job: (job.at, job.name)))
