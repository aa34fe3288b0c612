"""Plans for what a person says in a conversation: a sentence that needs what was said before is completed from it.

Only where it is sure: an answer to the question that was asked, one thing that a pronoun can mean, the plan before over
another thing. With two candidates the person is asked. What text from outside went into stays marked as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agentos.errors import UserError
from agentos.kernel import language, pronouns, referring, words
from agentos.kernel.context import Past, Taken, Turn, Value, kind_of, named
from agentos.kernel.language import Missing
from agentos.kernel.planner import Planned, Planner, Usage
from agentos.registry import Registry
from agentos.syscall import Param
from agentos.types import Plan, Step

_TEXTS = ("private", "text")


@dataclass(frozen=True)
class Meant:
    """What a sentence means where it was said."""

    plan: Plan
    answered: str = ""
    """As of `Planned`."""
    taken: tuple[Taken, ...] = ()
    """Arguments that came from the conversation."""
    lacking: Turn | None = None
    """The plan as far as it goes, where the person is asked for more."""
    before: bool = False
    """Whether it was made with what was said before."""
    usage: Usage = Usage()
    past: Past = Past()
    """What came before it, sentences planned again included."""
    language: str = ""
    """That of the question which was answered; empty where none was."""

    @property
    def said(self) -> str:
        """What was taken for which word, for the person to see."""
        return words.taken(dict.fromkeys((one.word, one.value) for one in self.taken if one.word))


class Conversing:
    """Plans with a planner, within conversations."""

    def __init__(self, planner: Planner, table: Registry) -> None:
        """Over one table."""
        self._planner, self._table = planner, table

    async def plan(self, sentence: str, run: str, past: Past) -> Meant:
        """What a sentence means after what was said before it.

        Raises:
            UserError: as of `Planner.plan`.
            Failed: the model's process died.
        """
        spent = Usage()
        if past.said and not past.turns and self._may_refer(sentence):
            known = Past()
            for said in past.said:
                meant = await self._meant(said, run, known)
                known, spent = self._after(known, meant), spent + meant.usage
            past = known
        meant = await self._meant(sentence, run, past)
        return replace(meant, usage=meant.usage + spent, past=past)

    def _names(self, sentence: str) -> list[str]:
        """What may be a name in an answer: of several words only in quotes, or each verb that is rare would be one."""
        found = self._planner.named(sentence) if len(sentence) <= referring.LONGEST else ()
        return [name for name in found if " " not in name or re.search(rf"[\"“「『`']{re.escape(name)}", sentence)]

    def _may_refer(self, sentence: str) -> bool:
        names = self._names(sentence)
        how = (referring.back(sentence), referring.alone(sentence), referring.answered(sentence, names))
        return any(how) or referring.same(sentence, names) is not None or '"' in sentence

    def _after(self, past: Past, meant: Meant) -> Past:
        """The conversation once a sentence was said, of which nothing more than its plan is known."""
        if meant.lacking is not None:
            return past.plus(meant.lacking)
        steps = meant.plan.steps
        return past.plus(Turn(steps, (), named(steps, self._table, meant.taken), meant.taken))

    async def _meant(self, sentence: str, run: str, past: Past) -> Meant:
        names = self._names(sentence) if past.turns else ()
        asked = self._question(past)
        if asked is not None and (meant := self._answer(sentence, names, run, past, asked)) is not None:
            return meant
        same = referring.same(sentence, names) if asked is None else None
        if same is not None and (meant := self._again(sentence, same, run, past.last)) is not None:
            return meant
        planned = await self._planner.plan(sentence, run)
        by_name, spent = await self._by_name(sentence, run, past, planned)
        meant = by_name or self._completed(sentence, run, past, planned)
        return replace(meant, usage=planned.usage + spent)

    async def _by_name(self, sentence: str, run: str, past: Past, planned: Planned) -> tuple[Meant | None, Usage]:
        """What is meant by a sentence with the name of its thing in the pronoun's place, and what that took.

        None where it means what was planned: small talk, or a call that lacks just such a thing.
        """
        refers = planned.answered != "chat" and referring.back(sentence) and not self._awaits_text(past)
        pronoun = pronouns.find(sentence) if refers else None
        values = pronouns.spoken(pronoun, past) if pronoun is not None else ()
        if pronoun is None or not values or pronoun.names_besides(self._names(sentence)):
            return None, Usage()
        if several := pronouns.rivals(planned, values, self._table):
            return Meant(Plan(run, (), words.which(sentence, pronoun.word, several)), "asked", before=True), Usage()
        if {one.kind for one in values} & pronouns.kinds(planned, self._table):
            return None, Usage()
        doubt = self._doubt(sentence, run, planned)
        if not pronouns.sayable(values):
            return doubt, Usage()
        again = await self._planner.plan(pronoun.put(values[0], self._planner.named), run)
        steps = again.plan.steps or again.steps
        places = pronouns.used(steps, values[0], self._table)
        if again.unsure or not places or not self._may_be(planned, steps):
            return None if steps == planned.plan.steps else doubt, again.usage
        return self._with_name(pronoun, run, replace(again, steps=steps), values, places), again.usage

    def _with_name(
        self, pronoun: pronouns.Pronoun, run: str, planned: Planned, values: Sequence[Value], places: Sequence[Missing]
    ) -> Meant:
        """A plan in which a name stands for a pronoun: as if it had lacked it, and the conversation gave it."""
        sentence, at = pronoun.sentence, {(one.step, one.parameter) for one in places}
        steps = tuple(
            replace(step, args={n: v for n, v in step.args.items() if (step.id, n) not in at})
            for step in planned.steps
        )
        turn = Turn(steps, (*planned.missing, *places), named(steps, self._table), (), words.language(sentence))
        if len(values) > 1:
            return self._ask(sentence, run, turn, {one: [value.value for value in values] for one in places})
        taken = [Taken(one.step, one.parameter, values[0].value, pronoun.word) for one in places]
        return self._filled(sentence, run, turn, dict.fromkeys(places, values[0].value), taken)

    def _may_be(self, planned: Planned, steps: Sequence[Step]) -> bool:
        """Whether steps may be what was planned without the name: no other verb, nor a change where nothing changed."""
        if planned.answered == "asked":
            return pronouns.alike(planned, steps)
        return not planned.plan.steps or not self._reads(planned.plan.steps) or self._reads(steps)

    def _awaits_text(self, past: Past) -> bool:
        asked = self._question(past)
        return asked is not None and any(self._param(one).kind in _TEXTS for one in asked.missing)

    def _doubt(self, sentence: str, run: str, planned: Planned) -> Meant | None:
        """The question whether a plan is meant that changes something but not what the sentence speaks of."""
        if self._reads(planned.plan.steps):
            return None
        written = language.write(planned.plan.steps, self._table)
        return Meant(Plan(run, (), words.unsure(sentence, written)), "unsure", before=True)

    def _reads(self, steps: Sequence[Step]) -> bool:
        return all(self._table[step.syscall].effect == "read" for step in steps)

    def _answer(self, sentence: str, names: Sequence[str], run: str, past: Past, asked: Turn) -> Meant | None:
        """The plan that was asked about, with the answer; None where a sentence is none."""
        if referring.refused(sentence):
            return Meant(Plan(run, (), words.left(sentence)), "chat", before=True)
        params = {one: self._param(one) for one in asked.missing}
        filled: dict[Missing, str] = {}
        taken: list[Taken] = []
        said = referring.labelled(sentence, names, [one.parameter for one in asked.missing])
        things = [one for one, param in params.items() if param.kind not in _TEXTS]
        if said:
            filled = {one: said[one.parameter] for one in asked.missing if one.parameter in said}
        elif len({one.parameter for one in things}) == 1 and (value := self._value(sentence, names, params[things[0]])):
            filled = dict.fromkeys(things, value)
        elif word := referring.alone(sentence):
            kinds = {one: kind_of(self._table[one.syscall], param) for one, param in params.items()}
            for one in things:
                found = past.candidates(kinds[one]) if kinds[one] else ()
                if len(found) > 1:
                    return self._ask(sentence, run, asked, {one: [each.value for each in found]})
                if found:
                    filled[one] = found[0].value
                    taken.append(Taken(one.step, one.parameter, found[0].value, word, found[0].source))
        elif len({one.parameter for one in things}) > 1 and (name := referring.answered(sentence, names)):
            return self._ask(sentence, run, asked, {}, name)
        elif not things and len(asked.missing) == 1 and (text := referring.quoted(sentence)):
            filled = {asked.missing[0]: text}
        return self._filled(sentence, run, asked, filled, taken) if filled else None

    def _value(self, sentence: str, names: Sequence[str], param: Param) -> str:
        """The value that an answer gives a parameter; empty where it gives none."""
        if param.kind == "syscall":
            names = [entry.name for entry in self._table]
        elif param.choices:
            names = [one for choice in param.choices for one in {choice, choice.capitalize(), choice.upper()}]
        value = referring.answered(sentence, names)
        return next((choice for choice in param.choices if choice.lower() == value.lower()), value)

    def _again(self, sentence: str, same: referring.Same, run: str, last: Turn) -> Meant | None:
        """The plan before, over another thing; None where it names none."""
        own = {
            (step.id, param.name): (kind_of(self._table[step.syscall], param), str(value))
            for step in last.steps for param in self._table[step.syscall].params
            if kind_of(self._table[step.syscall], param) and isinstance(value := step.args.get(param.name), str)
        }
        if same.label:
            own = {place: said for place, said in own.items() if same.label.startswith(said[0])}
        if not own:
            return None
        if len(set(own.values())) != 1:
            which = list(dict.fromkeys(f"{kind} {value}" for kind, value in own.values()))
            return Meant(Plan(run, (), words.instead(sentence, same.name, which)), "asked", before=True)
        steps = tuple(
            replace(step, args={n: same.name if (step.id, n) in own else v for n, v in step.args.items()})
            for step in last.steps
        )
        kept = tuple(replace(one, word="") for one in last.taken if (one.step, one.parameter) not in own)
        return self._checked(sentence, run, steps, kept)

    def _completed(self, sentence: str, run: str, past: Past, planned: Planned) -> Meant:
        """What was planned, with what it lacks taken from the conversation where that is sure."""
        asked = self._question(past)
        texts = [one for one in asked.missing if self._param(one).kind in _TEXTS] if asked is not None else []
        if asked is not None and len(asked.missing) == len(texts) == 1 and planned.answered in ("declined", "chat"):
            return self._filled(sentence, run, asked, {texts[0]: sentence}, [])
        if planned.answered != "asked":
            return Meant(planned.plan, planned.answered)
        turn = Turn(planned.steps, planned.missing, named(planned.steps, self._table), (), words.language(sentence))
        merged = _merged(turn, asked)
        if merged is not None:
            return self._checked(sentence, run, merged.steps, merged.taken)
        word = referring.back(sentence)
        if not word or planned.unsure:
            return Meant(planned.plan, "asked", lacking=turn)
        filled: dict[Missing, str] = {}
        taken: list[Taken] = []
        several: dict[Missing, list[str]] = {}
        for one in planned.missing:
            kind = kind_of(self._table[one.syscall], self._param(one))
            found = past.candidates(kind) if kind else ()
            if len(found) > 1:
                several[one] = [each.value for each in found]
            elif found:
                filled[one] = found[0].value
                taken.append(Taken(one.step, one.parameter, found[0].value, word, found[0].source))
        if several or not filled:
            return self._ask(sentence, run, turn, several)
        return self._filled(sentence, run, turn, filled, taken)

    def _filled(
        self, sentence: str, run: str, turn: Turn, filled: Mapping[Missing, str], taken: Sequence[Taken]
    ) -> Meant:
        """A plan that lacked arguments, with some of them; what it lacks still is asked for."""
        given = {(one.step, one.parameter): value for one, value in filled.items()}
        steps = tuple(
            replace(step, args={**step.args, **{name: value for (at, name), value in given.items() if at == step.id}})
            for step in turn.steps
        )
        left = tuple(one for one in turn.missing if (one.step, one.parameter) not in given)
        all_taken = (*(replace(one, word="") for one in turn.taken), *taken)
        made = replace(turn, steps=steps, missing=left, values=named(steps, self._table, all_taken), taken=all_taken)
        if left:
            return replace(self._ask(sentence, run, made, {}), taken=all_taken)
        return replace(self._checked(sentence, run, steps, all_taken), language=turn.language)

    def _checked(self, sentence: str, run: str, steps: tuple[Step, ...], taken: Sequence[Taken]) -> Meant:
        try:
            return Meant(Plan(run, self._planner.checked(steps)), taken=tuple(taken), before=True)
        except UserError as error:
            return Meant(Plan(run, (), words.unplanned(sentence, str(error))), "unplanned", before=True)

    def _ask(
        self, sentence: str, run: str, turn: Turn, several: Mapping[Missing, Sequence[str]], name: str = ""
    ) -> Meant:
        """The question for what a plan lacks, with the candidates where there are some."""
        said = sentence if words.language(sentence) == "zh" or turn.language != "zh" else "请"
        reply = words.asked(said, turn.missing, self._table)
        if several:
            reply += words.between(said, [value for values in several.values() for value in values])
        if name:
            reply += words.labels(said, [f"{one.parameter} {name}" for one in turn.missing[:2]])
        return Meant(Plan(run, (), reply), "asked", lacking=turn, before=True)

    def _question(self, past: Past) -> Turn | None:
        """What was asked last and waits for its answer; None where a server that it was about has gone since."""
        asked = past.last
        return asked if asked.missing and all(one.syscall in self._table for one in asked.missing) else None

    def _param(self, one: Missing) -> Param:
        return next(param for param in self._table[one.syscall].params if param.name == one.parameter)


def _merged(turn: Turn, asked: Turn | None) -> Turn | None:
    """One call that was asked about and one that lacks what it had, each completed by the other; None where not."""
    if asked is None or len(asked.steps) != 1 or len(turn.steps) != 1:
        return None
    was, now = asked.steps[0], turn.steps[0]
    if was.syscall != now.syscall or {one.parameter for one in turn.missing} - was.args.keys():
        return None
    if {one.parameter for one in asked.missing} - now.args.keys():
        return None
    return Turn((replace(was, args={**was.args, **now.args}),), (), (), asked.taken)
