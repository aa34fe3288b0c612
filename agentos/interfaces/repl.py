"""The prompt: what is typed is run and shown, answers to what is held are taken, corrections are kept."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import uuid
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.patch_stdout import patch_stdout

from agentos.config import Settings
from agentos.errors import AgentosError
from agentos.interfaces.client import Event
from agentos.interfaces.repl_commands import Commands
from agentos.interfaces.repl_complete import Live
from agentos.interfaces.repl_edit import edit
from agentos.interfaces.repl_history import history
from agentos.interfaces.repl_keys import SHELL, depth, session
from agentos.interfaces.repl_shell import shell
from agentos.interfaces.repl_watch import OVER, Beside
from agentos.interfaces.session import INTERRUPTED, Outcome, Session, choose
from agentos.interfaces.show import colourful, moving

_MEANT = re.compile(
    r"(no|nope|wrong|sorry)[,.!:;]?\s+(what )?i (meant|mean|wanted|said)( was| is)?\b[:,]?\s+"
    r"|(不|不对|不是|错了|搞错了)[，,。！!：: ]*我(的意思|说的|指的|要的|想要的)?是(说)?[，,：: ]*",
    re.IGNORECASE,
)
"""How a person takes up what was said before, to say it another way."""


class Repl:
    """One sitting at the prompt."""

    def __init__(self, settings: Settings, user: str = "") -> None:
        """Connects when it runs."""
        self._session = Session(settings, door="repl", user=user, session=f"prompt-{uuid.uuid4().hex[:12]}")
        self._session.asked = self.ask
        self._say, self._out, self._client = self._session.say, self._session.printer, self._session.client
        self._beside = Beside(self._client, self._say)
        kept = history(settings)
        self._commands = Commands(self, self._session, self._beside, kept)
        self._live = Live(self._client, self._commands.names)
        self._prompt = session(kept, self._live, self._bar)
        self._question: PromptSession[str] = PromptSession(color_depth=depth())
        self._mark = ANSI("\x1b[1;36magentos>\x1b[0m ") if colourful(sys.stdout) else "agentos> "
        self.left = False
        self._last: tuple[str, dict[str, Any]] | None = None
        """What was said last, and the plan that was made of it."""

    def run(self) -> int:
        """Reads and answers until the person leaves.

        Raises:
            Failed: the system could not start.
        """
        said = self._client.wait()
        self._out.settle()
        self._live.refresh()
        self._beside.start()
        self._out.note(self._say("welcome", said.get("version", ""), _model(said)))
        self._tell_pending()
        while not self.left:
            try:
                line = self._read().strip()
                if line:
                    self._answer(line)
                    self._live.refresh()
                    self._beside.soon()
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
        self._out.note(self._say("bye"))
        return 0

    def _read(self) -> str:
        for told in self._beside.told():
            self._out.note(told)
        if not moving(sys.stdout):
            return self._prompt.prompt(self._mark)
        with patch_stdout(), self._beside.prompting(self._prompt.app.invalidate, print):
            return self._prompt.prompt(self._mark)

    def _bar(self) -> str:
        return self._beside.line(shutil.get_terminal_size((80, 24)).columns)

    def _answer(self, line: str) -> None:
        try:
            if line.startswith("/"):
                name, _, rest = line.partition(" ")
                self._commands.run(name, rest.strip())
            elif line.startswith(SHELL):
                shell(self._session, self._beside, line.removeprefix(SHELL))
            elif self._last and (meant := _MEANT.match(line)):
                self._mean(line[meant.end() :].strip())
            else:
                self._run(line)
        except AgentosError as error:
            self._out.error(str(error))
        except KeyboardInterrupt:
            self._out.note(self._say("cancelled"))

    def _run(self, line: str, plan: str = "") -> Outcome:
        outcome = self._session.follow(self._client.run(line, plan))
        self._last = (line, outcome.plan) if outcome.plan else None
        for result in outcome.results.values():
            if isinstance(result, dict) and result.get("state") in OVER:  # its end was shown just now
                self._beside.mute(str(result.get("job")))
        return outcome

    def _mean(self, line: str) -> None:
        """Runs what was meant, and keeps that the sentence before it means this, if the person wants that."""
        assert self._last is not None
        said = self._last[0]
        outcome = self._run(line)
        if (outcome.plan or {}).get("steps") and not outcome.errors:
            self._remember(said, self._worded(outcome.plan))

    def edit(self, sentence: str) -> None:
        """Plans a sentence, lets the person edit the plan until it fits the table, and runs it as it then is."""
        made = self._client.plan(sentence)
        if not made["steps"]:
            self._out.note(str(made.get("reply") or self._say("not_run")))
            return
        first = plan = self._worded(made)
        while True:
            changed = edit(sentence, plan, self._say, self._out, self._edited)
            if changed is None:
                self._out.note(self._say("not_run"))
                return
            try:
                self._client.request("POST", "/v1/plans/check", {"plan": changed})
                break
            except AgentosError as error:
                self._out.error(str(error))
                if changed == plan:  # an editor that was left without a change would come again for ever
                    return
                plan = changed
        outcome = self._run(sentence, changed)
        if changed != first and not outcome.errors and outcome.exit_code != INTERRUPTED:
            self._remember(sentence, changed)

    def correct(self, rest: str) -> None:
        """Keeps the right plan of what was said last; without one, lets the person edit it."""
        if self._last is None:
            self._out.error(self._say("nothing_said"))
            return
        said, plan = self._last
        if not rest:
            was = self._worded(plan)
            self._out.note(self._say("correct_keys", said, was))
            try:
                rest = self._edited(was, "\n" in was)
            except (EOFError, KeyboardInterrupt):
                self._out.note(self._say("not_kept"))
                return
        self._keep(said, rest.strip())

    def _edited(self, text: str, several: bool = True) -> str:
        try:
            return self._question.prompt("> ", default=text, multiline=several)
        finally:
            self._question.multiline = False

    def _remember(self, said: str, plan: str) -> None:
        agreed = self._client.request("GET", "/v1/kernel/feedback")["agreed"]
        if agreed or self._yes(self._say("remember", said)):
            self._keep(said, plan)

    def _keep(self, said: str, plan: str) -> None:
        kept = self._client.request("POST", "/v1/kernel/corrections", {"text": said, "plan": plan})
        self._out.note(self._say("kept", kept["text"], kept["plan"]))

    def _worded(self, plan: dict[str, Any] | None) -> str:
        return str(self._client.request("POST", "/v1/kernel/wording", {"plan": plan or {"steps": []}})["plan"])

    def _yes(self, question: str) -> bool:
        try:
            return self._question.prompt(question).strip().lower() in ("y", "yes", "是", "好")
        except (EOFError, KeyboardInterrupt):
            return False

    def ask(self, call: Event) -> str:
        """Shows a held call and takes the answer."""
        return choose(call, self._out, self._say, self._question.prompt)

    def _tell_pending(self) -> None:
        with contextlib.suppress(AgentosError):
            if waiting := self._commands.pending():
                self._out.note(self._say("pending", len(waiting)))


def _model(said: dict[str, Any]) -> str:
    model = said.get("model")
    return str(model.get("name", "")) if isinstance(model, dict) else str(model or "")
