"""The environment of a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agentos.jobs.environment import environment
from agentos.jobs.executor import Order

ORDER = Order(
    "7.1", "7", Path("/jobs/7/1"), "true", cwd="/", env={}, secrets={}, memory=None, time_limit=None, gpus=(), cpus=3
)


def test_little_of_the_systems_own_is_passed_on() -> None:
    system = {"PATH": "/bin", "HOME": "/home/a", "LC_ALL": "C", "API_KEY": "x", "AGENTOS_KEY": "y"}
    found = environment(ORDER, "m", system)
    assert found["PATH"] == "/bin" and found["HOME"] == "/home/a" and found["LC_ALL"] == "C"
    assert "API_KEY" not in found and "AGENTOS_KEY" not in found


def test_a_system_without_an_environment_still_gives_a_path() -> None:
    assert environment(ORDER, "m", {})["PATH"]


def test_threads_are_as_many_as_cpus_unless_the_job_says_otherwise() -> None:
    assert environment(ORDER, "m", {})["OMP_NUM_THREADS"] == "3"
    assert environment(replace(ORDER, env={"OMP_NUM_THREADS": "1"}), "m", {})["OMP_NUM_THREADS"] == "1"


def test_the_gpus_are_those_that_were_given_whatever_the_job_says() -> None:
    greedy = replace(ORDER, env={"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, gpus=(2, 3))
    assert environment(greedy, "m", {})["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert environment(ORDER, "m", {})["CUDA_VISIBLE_DEVICES"] == ""


def test_a_secret_wins_over_a_variable_of_its_name() -> None:
    assert environment(replace(ORDER, env={"A": "1"}, secrets={"A": "2"}), "m", {})["A"] == "2"
