"""Remote models by names of one's own: what the file may say, and that a model answers by such a name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.engines.make import maker
from agentos.errors import UserError
from agentos.models.costs import Costs
from agentos.models.remotes import Remotes, parse
from agentos.models.service import ModelService
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Caller
from tests.engines.providers import serving

GOOD = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/MY_API_KEY}
  - model_name: fast
    litellm_params: {model: openai/second, api_base: "http://127.0.0.1:1/v1"}
  - model_name: ours
    litellm_params: {model: openai/qwen, api_base: "http://127.0.0.1:2/v1", timeout: 30, num_retries: 1}
litellm_settings:
  fallbacks: [{fast: [ours]}]
"""
SECRET = "sk-what-nobody-may-see"


def test_names_keys_addresses_and_fallbacks_are_those_of_litellm_s_proxy():
    found = parse(GOOD, Path("remotes.yaml"))
    assert found["fast"] == {
        "model": "openai/gpt-4o-mini", "key": "MY_API_KEY", "api_base": "",
        "fallbacks": [
            {"model": "openai/second", "api_base": "http://127.0.0.1:1/v1"},
            {"model": "openai/qwen", "api_base": "http://127.0.0.1:2/v1"},
        ],
    }
    assert (found["ours"]["timeout"], found["ours"]["retries"], found["ours"]["fallbacks"]) == (30, 1, [])


def params(said: str) -> str:
    return f"model_list: [{{model_name: fast, litellm_params: {{model: openai/x, {said}}}}}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "not valid YAML"), ("- a", "the file must be a table"), ("models: []", "'models'.*not known"),
        (params(f"api_key: {SECRET}"), "must name a key"), (params("api_base: 'ftp://x'"), "http://"),
        (params("timeout: 0"), "timeout"), (params("timeout: .nan"), "timeout"), (params("num_retries: 1.5"), "whole"),
        (params("rpm: 5"), "'rpm'.*not known"), ("model_list: [{model_name: 'a b'}]", "model_name"),
        ("model_list: [{model_name: a, litellm_params: {model: gpt}}]", "PROVIDER/MODEL"),
        ("model_list: [{model_name: a}]", "litellm_params must be a table"),
        (params("timeout: 1") + "\nlitellm_settings: {fallbacks: [{fast: [none]}]}", "'none'.*does not have"),
    ],
)
def test_what_the_file_may_not_say_is_named_and_a_key_in_it_is_not_repeated(text, said):
    with pytest.raises(UserError, match=said) as caught:
        parse(text, Path("remotes.yaml"))
    assert SECRET not in str(caught.value) and "remotes.yaml" in str(caught.value)


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_harms_no_other_model(tmp_path):
    file = tmp_path / "remotes.yaml"
    remotes = Remotes(file)
    assert remotes.names() == () and remotes.full("fast") == "fast"
    file.write_text(GOOD, "utf-8")
    assert remotes.names() == ("litellm:fast", "litellm:ours") and remotes.full("fast") == "litellm:fast"
    assert remotes.settings("litellm:openai/other") == {}
    file.write_text("nonsense: true", "utf-8")
    os.utime(file, (1, 1))
    assert remotes.names() == () and remotes.full("qwen2.5") == "qwen2.5"
    assert remotes.settings("litellm:openai/other") == {}
    with pytest.raises(UserError, match="nonsense"):
        remotes.settings("litellm:fast")


async def test_a_named_model_is_listed_loaded_answers_by_its_key_and_its_cost_is_noted(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    store = Store(tmp_path / "agentos.db")
    settings = Settings(home=tmp_path, cache=tmp_path / "cache")
    models = ModelService(
        settings, store, maker(settings), TrashCan(store, settings), keys=lambda: {"OURS_API_KEY": "sk-ours"}
    )
    with serving() as provider:
        address = json.dumps(provider.base)
        (tmp_path / "remotes.yaml").write_text(
            "model_list: [{model_name: fast, litellm_params: {model: openai/gpt-4o-mini, "
            f"api_base: {address}, api_key: os.environ/OURS_API_KEY}}}}]", "utf-8",
        )
        rows = {row.model: (row.state, row.engine) for row in models.listing("catalog").models}
        assert rows["litellm:fast"] == ("catalog", "litellm") and models.canonical("fast") == "litellm:fast"
        try:
            assert (await models.load("fast")).model == "litellm:fast"
            text = await models.generate("fast", "hello", 20, Asking())  # type: ignore[arg-type]
            live = models.listing("loaded").models[0].live
        finally:
            await models.close()
    spent = Costs(store).total(user="ann")
    store.close()
    assert (text.text, text.model) == ("one two three", "litellm:fast")
    assert [asked.key for asked in provider.asked] == ["sk-ours"]
    assert text.cost == spent.cost == live.cost == pytest.approx(7 * 1.5e-7 + 3 * 6e-7)
    assert (spent.calls, spent.prompt_tokens, spent.tokens) == (1, 7, 3)


class Asking:
    """What a call is given, as far as these calls reach."""

    caller = Caller("ann", "user")

    async def text(self, delta: str) -> None:
        pass

    async def progress(self, *_: object) -> None:
        pass
