import pytest

from agentos.errors import AgentosError, UserError
from agentos.kernel.edited import edited
from agentos.registry import Registry, installed


@pytest.fixture(scope="module")
def table() -> Registry:
    return installed()


def test_a_plan_is_read_as_it_stands(table: Registry) -> None:
    text = '# the plan of: …\n\nmodels.pull(model="m")\n  models.load(model=s1.model)\ndatasets.list() after s1\n'
    plan = edited(text, table, "r1")
    assert [(step.id, step.syscall, dict(step.args), step.after) for step in plan.steps] == [
        ("s1", "models.pull", {"model": "m"}, ()), ("s2", "models.load", {"model": {"$ref": "s1.model"}}, ("s1",)),
        ("s3", "datasets.list", {}, ("s1",)),
    ]
    assert plan.id == "r1"


@pytest.mark.parametrize(("text", "why"), [
    ("", "no call"), ("# only a remark", "no call"), ("none()", "no call"),
    ("models.load(model=?)", "'model'"), ("models.load()", "'model' is missing"),
    ('models.load(model="m", color="red")', "no argument 'color'"),
    ('models.load(model="m", engine="steam")', "'engine'"),
    ('models.pull(model="m")\nmodels.load(model=s1.weight)', "gives no 'weight'"),
    ('models.pull(model="m")\nmodels.load(model=s1.model, color="red")', "no argument 'color'"),
    ('models.pull(model="m")\njobs.submit(name=s1.model)', "needs 'command'"),
    ("models.load(model=s1.model)", "not an earlier step"), ("models.lode()", "models.lode"),
    ("load the model", "load"), ("\n".join(["datasets.list()"] * 9), "9 calls"),
])
def test_a_plan_that_does_not_fit_the_table_is_refused_with_the_reason(text: str, why: str, table: Registry) -> None:
    with pytest.raises(AgentosError) as refused:
        edited(text, table, "r1")
    assert why in str(refused.value)
    assert isinstance(refused.value, UserError)
