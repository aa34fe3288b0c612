"""`from agentos import Client`: the same system, the same names, typed, sync and async."""

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agentos import AsyncClient, Client
from agentos.errors import ApprovalNeeded, DeniedError, NotFound, UserError
from agentos.interfaces import python_stub
from agentos.interfaces.client import NotRunning
from agentos.interfaces.python import settings_of
from agentos.interfaces.python_events import HeldEvent, PlanEvent, ProgressEvent, ResultEvent, typed
from agentos.interfaces.python_into import into
from agentos.interfaces.python_run import CallHeld
from agentos.registry import installed
from agentos.types import Deleted, Explanation, JobList, Memory, ModelList, Plan, ResourceReport

from .conftest import Agentos, kill

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reached(agentos: Agentos, monkeypatch: pytest.MonkeyPatch) -> Agentos:
    """A running home, as this process's own settings have it."""
    for name, said in agentos.env.items():
        if name.startswith("AGENTOS_"):
            monkeypatch.setenv(name, said)
    return agentos


@pytest.fixture
def client(reached: Agentos) -> Client:
    return Client(autostart=False)


def test_importing_the_package_imports_nothing_else() -> None:
    told = "import sys, agentos; print([name for name in sys.modules if name.startswith('agentos.')])"
    assert subprocess.check_output([sys.executable, "-c", told], text=True).strip() == "[]"
    with pytest.raises(ImportError):
        from agentos import Clientele  # type: ignore[attr-defined]  # noqa: F401


def test_a_client_starts_the_system_that_does_not_run(fresh: Agentos, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, said in fresh.env.items():
        if name.startswith("AGENTOS_"):
            monkeypatch.setenv(name, said)
    with pytest.raises(NotRunning):
        Client(autostart=False).plan("how much memory is free?")
    assert Client().ask("how much memory is free?").ok
    kill(fresh)


def test_a_sentence_is_a_run_with_typed_events_results_and_a_reply(client: Client) -> None:
    run = client.ask("how much memory is free?")
    events = list(run)
    assert [event.event for event in events if event.event != "progress"] == ["plan", "decision", "result", "end"]
    assert list(run) == events  # it can be read again
    assert isinstance(run.plan, Plan) and run.plan.steps[0].syscall == "resources.query"
    [report] = run.results.values()
    assert isinstance(report, ResourceReport) and isinstance(report.memory, Memory)
    assert run.ok and run.exit_code == 0 and not run.held and "available" in run.reply
    assert run.result == report and run.check() is run


def test_what_a_run_is_asked_for_waits_for_it(client: Client) -> None:
    assert client.ask("two things").plan.steps[1].syscall == "models.list"  # type: ignore[union-attr]
    assert set(client.ask("two things").results) == {"s1", "s2"}
    assert client.ask("what is the weather like?").reply


def test_a_plan_runs_nothing(client: Client) -> None:
    plan = client.plan("delete smollm2-135m")
    assert [(step.syscall, dict(step.args)) for step in plan.steps] == [("models.delete", {"model": "smollm2-135m"})]
    assert client.approvals() == []


def test_a_syscall_is_a_method_with_its_result_as_a_type(client: Client) -> None:
    assert isinstance(client.models.list("catalog"), ModelList)
    assert client.models.list(state="catalog").models[0].state == "catalog"
    assert client.call("models.list", state="catalog").models == client.models.list("catalog").models
    explained = client.policy.explain("models.delete")
    assert isinstance(explained, Explanation) and explained.decision == "confirm"


def test_errors_say_who_must_act(client: Client, agentos: Agentos) -> None:
    assert agentos.run("keys", "create", "--user", "vera", "--role", "viewer").returncode == 0
    with pytest.raises(NotFound, match=r"models\.lst"):
        client.call("models.lst")
    with pytest.raises(UserError, match="odd"):
        client.models.list("odd")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="'colour'"):
        client.models.list(colour="red")  # type: ignore[call-arg]
    with pytest.raises(UserError, match="cannot be sent"):
        client.call("models.show", model=Path("x"))
    with pytest.raises(DeniedError):
        Client(user="vera").models.delete("smollm2-135m", yes=True)
    with pytest.raises(AttributeError, match="delete, generate"):
        client.models.lst  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="audit, datasets"):
        client.modles  # type: ignore[attr-defined]  # noqa: B018


def test_a_held_call_is_answered_from_where_it_was_made(client: Client) -> None:
    with pytest.raises(CallHeld, match="confirmed by a person") as caught:
        client.models.delete("smollm2-135m")
    assert isinstance(caught.value, ApprovalNeeded)
    [held] = client.approvals()
    assert held.call.approval == caught.value.approval and held.call.args == {"model": "smollm2-135m"}
    run = caught.value.held.refuse("still needed")
    assert [error.kind for error in run.errors] == ["refused"]
    with pytest.raises(DeniedError, match="still needed"):
        run.check()
    assert client.approvals() == []


def test_a_held_sentence_goes_on_once_it_is_approved(client: Client) -> None:
    run = client.ask("delete smollm2-135m")
    [held] = run.held
    assert "models.delete(model='smollm2-135m')" in str(held) and not run.ok and run.exit_code == 4
    assert held.approve() is run and not run.held
    kinds = [event.event for event in run]
    assert kinds.count("end") == 2 and kinds[-1] == "end"
    assert "smollm2-135m" in run.errors[0].message  # there is nothing stored that could be deleted


def test_calls_that_wait_are_answered_by_another_client(client: Client) -> None:
    client.ask("delete smollm2-135m").wait()
    [held] = Client(autostart=False).approvals()
    assert held.refuse().wait().errors[0].kind == "refused"


def test_progress_is_told_to_who_wants_it(reached: Agentos) -> None:
    told: list[ProgressEvent] = []
    Client(autostart=False, told=told.append).jobs.wait(Client().jobs.submit("sleep 0.2", yes=True).job)
    assert all(isinstance(event, ProgressEvent) for event in told)
    assert told


def test_a_job_is_submitted_listed_and_read(client: Client) -> None:
    made = client.jobs.submit(command="echo from python", name="hello", yes=True)
    assert client.jobs.wait(made.job).exit_code == 0
    assert "from python" in client.jobs.logs(made.job).text
    listed = client.jobs.list()
    assert isinstance(listed, JobList) and made.job in [row.id for row in listed.jobs]


def test_the_trail_has_the_door(client: Client) -> None:
    client.models.list("stored")
    assert client.audit.search(syscall="models.list").rows[0].door == "python"


def test_a_run_shows_itself_without_waiting_and_in_a_notebook_whole_and_escaped(client: Client) -> None:
    run = client.ask("how much memory is free?")
    assert repr(run).startswith("<Run r")
    assert "resources.query" in run._repr_html_() and "✓" in run._repr_html_()
    held = client.ask("delete <b>bold</b>").held[0]
    assert "&lt;b&gt;bold&lt;/b&gt;" in held._repr_html_() and "<b>bold" not in held.run._repr_html_()
    held.refuse()


def test_a_method_has_the_table_s_signature_and_help(client: Client) -> None:
    shown = inspect.signature(client.models.load)
    assert list(shown.parameters)[:2] == ["model", "engine"] and shown.parameters["keep_alive"].default == "10m"
    assert "keep_alive:" in (client.models.load.__doc__ or "")
    assert "load" in dir(client.models) and "models" in dir(client)
    assert "models.load(model, engine='auto'" in repr(client.models.load)


async def test_it_works_inside_a_running_event_loop(client: Client) -> None:
    assert client.ask("how much memory is free?").ok


async def test_the_async_client_has_the_same_names(reached: Agentos) -> None:
    client = AsyncClient(autostart=False)
    run = client.ask("how much memory is free?")
    kinds = [event.event async for event in run]
    assert kinds[-1] == "end" and (await run) is run and run.ok
    assert isinstance(next(iter(run.results.values())), ResourceReport) and "available" in run.reply
    assert isinstance(await client.models.list("catalog"), ModelList)
    assert (await client.plan("two things")).steps[0].syscall == "resources.query"
    assert (await client.status())["ready"] is True
    with pytest.raises(NotFound):
        await client.call("models.lst")
    with pytest.raises(ApprovalNeeded):
        await client.models.delete("smollm2-135m")
    [held] = await client.approvals()
    assert (await held.refuse("no")).errors[0].kind == "refused"
    again = await client.ask("delete smollm2-135m")
    assert (await again.held[0].approve()).errors[0].syscall == "models.delete"


async def test_runs_of_one_loop_go_side_by_side(reached: Agentos) -> None:
    client = AsyncClient(autostart=False)
    runs = [client.ask("how much memory is free?") for _ in range(5)]
    assert [(await run).ok for run in runs] == [True] * 5


async def test_a_cancelled_task_ends_its_call(reached: Agentos) -> None:
    client = AsyncClient(autostart=False)
    job = (await client.jobs.submit("sleep 60", yes=True)).job
    waiting = asyncio.create_task(client.jobs.wait(job))
    while not (await client.jobs.list("running")).jobs:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    rows: list[Any] = []
    while not rows or rows[0].outcome == "pending":
        rows = (await client.audit.search(syscall="jobs.wait")).rows
    assert rows[0].outcome == "cancelled"
    await client.jobs.cancel(job, yes=True)


def test_another_machine_is_reached_by_url_and_key(agentos: Agentos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTOS_URL", "https://one:1")
    monkeypatch.setenv("AGENTOS_KEY", "secret-of-one")
    assert (settings_of("", "", "").url, settings_of("", "", "").key) == ("https://one:1", "secret-of-one")
    assert settings_of("https://one:1", "", "").key == "secret-of-one"
    assert settings_of("https://two:2", "", "").key == ""  # the key of one is not shown to another
    assert settings_of("https://two:2", "mine", "").key == "mine"
    assert settings_of("", "", agentos.home).url == ""
    with pytest.raises(UserError):
        settings_of("https://two:2", "", agentos.home)
    with pytest.raises(UserError, match="in clear"):
        Client("http://example.com:1", "k").status()


def test_several_threads_share_a_client(client: Client) -> None:
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(client.ask("two things").ok)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4


def test_what_is_no_such_type_stays_as_it_is() -> None:
    assert into(Deleted, {"model": "m"}) == {"model": "m"}
    assert into(ModelList, {"models": [], "new": 1}) == ModelList([])
    assert typed({"event": "of tomorrow"}) is None
    assert isinstance(typed({"event": "plan", "plan": {"steps": []}, "new": 1}), PlanEvent)
    assert isinstance(typed({"event": "held", "approval": "a", "step": "s1", "syscall": "x"}), HeldEvent)
    assert typed({"event": "result", "step": "s1", "syscall": "x", "result": 3}) == ResultEvent("s1", "x", 3)


def test_the_signatures_for_editors_are_those_of_the_table() -> None:
    assert python_stub.PATH.read_text("utf-8") == python_stub.stub(installed())


def test_a_type_checker_knows_arguments_and_results(tmp_path: Path) -> None:
    file = tmp_path / "user.py"
    file.write_text(
        "from agentos import AsyncClient, Client\n"
        "reveal_type(Client().models.load('x'))\n"
        "async def f() -> None: reveal_type(await AsyncClient().jobs.list())\n"
        "Client().models.load()\n"
        "Client().modles\n"
    )
    done = subprocess.run(  # with the options, and so the cache, of the package's own check
        [sys.executable, "-m", "mypy", str(file)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert 'Revealed type is "agentos.types.models.LoadedReport"' in done.stdout, done.stdout
    assert 'Revealed type is "agentos.types.jobs.JobList"' in done.stdout
    assert 'Missing positional argument "model"' in done.stdout
    assert '"Client" has no attribute "modles"' in done.stdout
