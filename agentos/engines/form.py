"""A request's prompt as raw text, in the model's own chat form."""

from __future__ import annotations

from typing import Any

import jinja2

from agentos.engines import tools
from agentos.errors import UserError
from agentos.types import Generation, Prompt


def form(tokenizer: Any, request: Generation) -> Prompt:
    """The prompt as it is read.

    Raises:
        UserError: the model's chat template does not take these messages.
    """
    prompt = request.prompt
    if not isinstance(prompt, Prompt):
        usable = () if request.tool_choice == "none" else request.tools
        if tools.native(tokenizer.chat_template):
            return Prompt(_template(tokenizer, tools.templated(prompt), tools.functions(usable)))
        return Prompt(_template(tokenizer, tools.told(prompt, usable)))
    if not prompt.chat:
        return prompt
    marks = ["\x01system\x01", "\x01user\x01"]
    roles = [{"role": "system", "content": marks[0]}, {"role": "user", "content": marks[1]}]
    before, _, rest = _template(tokenizer, roles).partition(marks[0])
    between, _, after = rest.partition(marks[1])
    return Prompt(before + prompt.prefix, prompt.blocks, between + prompt.tail + after)


def _template(tokenizer: Any, turns: list[dict[str, Any]], known: list[dict[str, Any]] | None = None) -> str:
    if not tokenizer.chat_template:
        return "\n".join(turn["content"] for turn in turns)
    made = tokenizer.apply_chat_template
    try:
        return str(made(turns, tools=known or None, tokenize=False, add_generation_prompt=True))
    except (ValueError, TypeError, jinja2.TemplateError) as error:
        raise UserError(f"this model's chat form does not take these messages: {error}") from error
