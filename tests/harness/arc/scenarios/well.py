"""Clusters that are well, in five states."""

from __future__ import annotations

from tests.harness.arc.scenarios.scenario import REPOSITORY, Make, Scenario, busy, fleet_of


def idle() -> Scenario:
    return Scenario(fleet_of()[0])


def warm() -> Scenario:
    fleet, found = fleet_of(minimum=2)
    fleet.runner(found)
    fleet.runner(found)
    return Scenario(fleet)


def partly_busy() -> Scenario:
    fleet, found = fleet_of()
    busy(fleet, found, REPOSITORY, "tinyland-inc/other")
    return Scenario(fleet)


def being_made() -> Scenario:
    fleet, found = fleet_of(replicas=2)
    fleet.runner(found, phase="Pending", age=30)
    return Scenario(fleet)


def scaling_up() -> Scenario:
    fleet, found = fleet_of(replicas=2, patch=4, age=90)
    fleet.runner(found, repository=REPOSITORY, age=80, patch=3)
    return Scenario(fleet)


HEALTHY: dict[str, Make] = {
    "idle": idle,
    "warm": warm,
    "partly busy": partly_busy,
    "a runner is being made": being_made,
    "scaling up": scaling_up,
}
