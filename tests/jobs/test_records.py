"""A job that could not run, or not be put on disk, is refused before it is."""

import pytest

from agentos.errors import UserError
from agentos.jobs.records import Spec, check, name_for


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"command": " "}, "empty"), ({"command": "a\0b"}, "null"), ({"command": "a\ud800"}, "valid text"),
        ({"command": "x" * 200_000}, "script"), ({"name": "12"}, "number"), ({"name": "a\nb"}, "printed"),
        ({"cwd": "data"}, "absolute"), ({"cpus": -1}, "CPUs"), ({"gpus": -1}, "GPUs"), ({"memory": 0}, "memory"),
        ({"memory": 2**70}, "memory"), ({"priority": "urgent"}, "urgent"), ({"time_limit": float("nan")}, "limit"),
        ({"retries": -1}, "retries"), ({"backoff": float("inf")}, "backoff"), ({"not_before": float("inf")}, "time"),
        ({"env": {"A B": "x"}}, "variable"), ({"secrets": ("1",)}, "variable"), ({"env": {"A": "\0"}}, "null"),
        ({"env": {"A": "x"}, "secrets": ("A",)}, "secret"),
    ],
)
def test_what_cannot_run_is_refused(more, said):
    with pytest.raises(UserError, match=said):
        check(Spec(**{"command": "true", "user": "ann", **more}))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python3 train.py --lr 3", "train"), ("LR=1 nohup ./run_all.sh &", "run_all"), ("echo hello", "echo"),
        ("python -m pytest tests", "pytest"), ("'unclosed", "unclosed"), ("/usr/bin/sleep 5", "sleep"), ("$X", "job"),
        ("训练 模型", "训练"), ("python 1.py", "job"), ("&& ||", "job"), ("torchrun --standalone train.py", "train"),
    ],
)
def test_a_job_without_a_name_is_called_after_what_it_runs(command, name):
    assert name_for(command) == name
