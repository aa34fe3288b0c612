"""Key-value states that are kept, moved, laid in, evicted and saved answer as if they were computed in place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agentos.engines import kv
from agentos.engines.kv import Segments
from agentos.errors import UserError
from agentos.types import Message, Prompt

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as transformers loads

PREFIX = "Every setting has a name and a default value.\n"
BLOCKS = ("The first is home, where all that lasts is.\n", "cache: downloads.\n", "threads: as many as cores.\n")
TAIL = "Which setting names the folder of the downloads?"


def logits(asked: Any, prompt: Prompt) -> torch.Tensor:
    """What follows a prompt, as its backend would choose it."""
    backend = asked.backend
    pending, _ = backend._lay(prompt, 1)
    return backend._head.logits(backend._forward(pending, 1)[0])


def test_one_block_laid_in_answers_as_the_text_read_in_sequence(load):
    laid = logits(load(), Prompt(PREFIX, BLOCKS[:1], TAIL))
    read = logits(load(), Prompt(PREFIX + BLOCKS[0] + TAIL))
    assert torch.allclose(laid, read, atol=0.05 * float(read.abs().max()))
    assert torch.nn.functional.cosine_similarity(laid, read, dim=0) > 0.999


@pytest.mark.parametrize("gap", [1, 30, 500])
def test_a_state_moved_to_another_position_equals_one_computed_there(load, gap):
    backend = load().backend
    tokens = backend._encode("a text of some length, read at two places")

    def keys_at(position: int) -> torch.Tensor:
        # the first layer's keys depend on token and position alone
        backend._clear()
        backend._state.room(position + len(tokens))[:, :, :, :position] = 0
        backend._state.length = position
        backend._forward(tokens, 1)
        return backend._state.slice(position, position + len(tokens))[0]

    backend._segments.put("moved", torch.stack([keys_at(0)] * 2))
    moved = backend._segments.get("moved", gap, torch.float32)[0]
    there = keys_at(gap).float()
    assert torch.allclose(moved, there, atol=0.02 * float(there.abs().max()))


def test_the_order_of_blocks_is_kept_and_a_prompt_asked_again_reads_its_tail_alone(load):
    asked = load()
    first = asked(Prompt(PREFIX, BLOCKS, TAIL))
    again = asked(Prompt(PREFIX, BLOCKS, TAIL))
    assert again.text == first.text
    assert again.passes == first.passes - 4  # the prefix's and each block's
    assert again.cached_tokens == again.prompt_tokens - len(asked.backend._encode(TAIL))
    turned = asked(Prompt(PREFIX, BLOCKS[::-1], TAIL))
    assert turned.passes == again.passes
    assert turned.text == load()(Prompt(PREFIX, BLOCKS[::-1], TAIL)).text


def test_a_small_bound_evicts_what_is_old_and_never_what_the_prompt_at_hand_needs(load, monkeypatch):
    wide, tight = load(), load()
    tight.backend._segments._most = 1
    for blocks in (BLOCKS, BLOCKS[:1], BLOCKS[1:], BLOCKS):
        assert tight(Prompt(PREFIX, blocks, TAIL)).text == wide(Prompt(PREFIX, blocks, TAIL)).text
    kept = tight.backend._segments
    assert len(kept.items()) == 4
    tight(Prompt("Another beginning altogether.\n", BLOCKS[:1], TAIL))
    assert len(kept.items()) == 2
    assert kept._bytes == sum(state.nbytes for state in kept.items().values())


def test_the_least_recently_used_goes_first_and_bytes_are_counted_once():
    state = torch.zeros(1, 2, 1, 10, 4, dtype=torch.float16)
    segments = Segments(None, most=3 * state.nbytes)
    for key in ("a", "b", "c", "c"):
        segments.put(key, state)
    assert list(segments.items()) == ["a", "b", "c"]
    segments.get("a", 0, torch.float32)
    segments.put("d", state)
    assert list(segments.items()) == ["c", "a", "d"]


def test_states_are_found_on_disk_after_a_restart(load, tmp_path):
    prompt = Prompt(PREFIX, BLOCKS, TAIL)
    before = load(kv_cache=str(tmp_path))
    fresh = before(prompt)
    before.rest()
    assert list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob("*.tmp"))
    after = load(kv_cache=str(tmp_path))(prompt)
    assert after.text == fresh.text
    assert after.passes == fresh.passes - 4
    assert after.cached_tokens == fresh.cached_tokens > 0


@pytest.mark.parametrize("damage", [b"", b"not a safetensors file", None])
def test_a_damaged_file_of_states_is_made_again(load, tmp_path, damage):
    prompt = Prompt(PREFIX, BLOCKS, TAIL)
    before = load(kv_cache=str(tmp_path))
    fresh = before(prompt)
    before.rest()
    (file,) = tmp_path.glob("*.safetensors")
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2] if damage is None else damage)
    again = load(kv_cache=str(tmp_path))
    assert again(prompt).text == fresh.text
    again.rest()
    assert len(file.read_bytes()) == len(good)


def test_states_of_other_weights_are_not_used(load, tmp_path, tiny_models):
    from agentos.engines.transformers import Backend
    from agentos.types import Generation, ModelSpec

    made = load(kv_cache=str(tmp_path))
    made(Prompt(PREFIX, BLOCKS, TAIL))
    made.rest()
    for path in tiny_models.values():
        backend = Backend()
        spec = ModelSpec("another", path, "cpu", settings={"kv_cache": str(tmp_path)})
        backend.load(spec, lambda _done, _total: None)
        end = backend.generate(Generation("r", Prompt(PREFIX, BLOCKS, TAIL), 1), lambda _: None, lambda: False)
        assert end.passes == 5


def test_blocks_are_read_ahead_while_nothing_is_asked(load):
    asked = load()
    asked(Prompt(PREFIX, BLOCKS), max_tokens=0)
    asked.rest()
    assert asked(Prompt(PREFIX, BLOCKS, TAIL), max_tokens=1).passes == 1


def test_a_block_longer_than_the_context_is_refused_and_costs_nothing_later(load):
    asked = load(context=60)
    long = Prompt(PREFIX, ("word after word " * 100,), TAIL)
    asked(long, max_tokens=0)
    asked.rest()
    with pytest.raises(UserError, match="context"):
        asked(long)
    assert asked(Prompt("short"), max_tokens=3).tokens == 3


def test_an_empty_prompt_is_the_askers_error(load):
    asked = load()
    for prompt in (Prompt(""), Prompt("", ("",))):
        with pytest.raises(UserError, match="empty"):
            asked(prompt)
    assert asked(Prompt(PREFIX, BLOCKS), max_tokens=3).tokens == 3


def turns(*said: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if index % 2 else "user", text) for index, text in enumerate(said))


def test_a_second_turn_reads_only_what_is_new_and_answers_the_same(load):
    asked = load()
    first = asked(turns("tell me of settings"))
    second = asked(turns("tell me of settings", first.text, "and of the cache?"))
    fresh = load()(turns("tell me of settings", first.text, "and of the cache?"))
    assert second.text == fresh.text and second.prompt_tokens == fresh.prompt_tokens
    assert second.cached_tokens >= first.prompt_tokens
    assert (first.cached_tokens, fresh.cached_tokens) == (0, 0)
    edited = asked(turns("tell me of something else"))
    assert edited.text == load()(turns("tell me of something else")).text
    assert 0 < edited.cached_tokens < first.prompt_tokens
    assert asked(turns("tell me of something else")).text == edited.text


def test_chats_between_prompts_of_blocks_disturb_neither(load):
    asked, blocks, chat = load(), Prompt(PREFIX, BLOCKS, TAIL), turns("tell me of settings")
    expected = (load()(blocks).text, load()(chat).text)
    for draft in ((), ("tell me of something",), ("settings settings",)):
        for _ in range(2):
            assert (asked(blocks, draft=draft).text, asked(chat, draft=draft).text) == expected


def test_the_bound_on_kept_states_is_half_a_gibibyte():
    assert Segments(None)._most == kv.SEGMENT_BYTES == 512 * 1024 * 1024
