"""What a cluster cannot show of a queued job, and the command that asks GitHub for it."""

from __future__ import annotations

from msgspec import Struct

from gfattach.core.quote import word
from gfattach.queue.model.question import Question


class Unseen(Struct, frozen=True):
    """Something that is in no object of the cluster, and what would tell."""

    what: str
    command: str


def unseen(question: Question, owner: str) -> tuple[Unseen, ...]:
    """What no cluster knows, with commands for this repository and run."""
    repository = word(question.repository or "OWNER/NAME")
    organization = word(question.repository.partition("/")[0] or owner.partition("/")[0] or "OWNER")
    run = question.run or "RUN"
    return (
        Unseen(
            "the labels that the job asks for, and since when it waits",
            f"gh api repos/{repository}/actions/runs/{run}/jobs"
            " --jq '.jobs[]|{name,status,labels,runner_name,runner_group_name}'",
        ),
        Unseen(
            "whether the runner group admits the repository",
            f"gh api orgs/{organization}/actions/runner-groups",
        ),
        Unseen(
            "which runners the repository can reach (0: none, also for a useral repository and an"
            " organization's runners)",
            f"gh api repos/{repository}/actions/runners --jq .total_count",
        ),
        Unseen(
            "how many jobs wait beyond the maximum",
            f"gh run list --repo {repository} --status queued",
        ),
        Unseen("whether GitHub itself is down", "gh api https://www.githubstatus.com/api/v2/status.json"),
    )
