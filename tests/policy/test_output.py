"""Rules over replies: what matches, which rule acts, what leaves a stream and when."""

import json
import os
import random
from importlib import resources
from pathlib import Path

import pytest
import yaml

from agentos.errors import UserError
from agentos.policy.audit import Audit
from agentos.policy.masks import WIDEST, Masks
from agentos.policy.outgoing import FILTERED, Left, Outgoing
from agentos.policy.output import FILE, read, shipped
from agentos.policy.people import ROLES
from agentos.policy.reviews import Reviews
from agentos.policy.topics import Topics
from agentos.policy.width import width
from agentos.redact import Stream
from agentos.registry import installed
from agentos.types import Allowed, Caller, Denied

ADA, OSCAR, VERA = Caller("ada", "admin"), Caller("oscar", "operator"), Caller("vera", "viewer")
LINE = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnBygWyF0qJbGzYwK2n7Q1s\n"
KEY = f"-----BEGIN PRIVATE KEY-----\n{LINE * 9}-----END PRIVATE KEY-----"


class Here:
    """Rules over a real store, and replies held against them."""

    def __init__(self, folder: Path, store, clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock, self.store = folder, clock, store
        self.audit = Audit(store, installed(), clock)
        self.roles = {"ada": "admin", "oscar": "operator", "vera": "viewer", "bob": "viewer"}

        def judge(by: Caller):
            return Allowed("admin-everything") if by.role == "admin" else Denied("administration-by-admin", "")

        self.reviews = Reviews(store, self.audit, judge, "owner", clock)
        self._outgoing: Outgoing | None = None

    def write(self, *rules: str) -> None:
        file = self.folder / FILE
        file.write_text("rules:\n" + "".join(f"  - {rule}\n" for rule in rules), "utf-8")
        self.clock.now += 10
        os.utime(file, (self.clock.now - 5, self.clock.now - 5))

    @property
    def outgoing(self) -> Outgoing:
        if self._outgoing is None:
            self._outgoing = Outgoing(self.folder, self.roles.get, self.reviews, self.clock)
        return self._outgoing

    def said(self, text: str, caller: Caller = VERA, model: str = "smollm2-135m", size: int = 3) -> tuple[str, Left]:
        """What was streamed, and the end of it."""
        leaving = self.outgoing.reply(caller, model, "a question")
        if leaving is None:
            return text, Left(text, "")
        out = "".join(leaving.feed(text[at : at + size]) for at in range(0, len(text), size))
        left = leaving.close(text)
        assert out + left.rest == left.text
        return out + left.rest, left

    def trail(self) -> list[tuple[str, str, str]]:
        rows = self.store.connection.execute("select syscall, decision, rule from audit where of = 0 order by id")
        return [tuple(row) for row in rows]


@pytest.fixture
def here(home: Path, store, clock) -> Here:
    return Here(home / "policies", store, clock)


def test_what_ships_masks_keys_for_everybody_and_changes_nothing_else(here: Here) -> None:
    plain = "A key is kept in ~/.ssh. Write to zhang@example.com or call 13812345678. 今天天气不错。" * 5
    for caller in (ADA, OSCAR, VERA):
        assert here.said(plain, caller)[0] == plain
        said, left = here.said(f"Here: {KEY} and AKIAQ3EGX7RT5NZ2WLPA.", caller)
        assert said == "Here: <API_KEY_1> and <API_KEY_2>." and left.finish_reason == ""
    assert here.trail() == []


@pytest.mark.parametrize("size", [1, 2, 5, 64, 4000])
def test_a_pattern_is_masked_whole_however_the_stream_is_cut(here: Here, size: int) -> None:
    here.write(r"{id: badge, reason: r, do: mask, when: {patterns: ['(?i)\b(?:ACME|XYZ)-(\d{4})\b']}}")
    text = "x" * 50 + " acme-1234, XYZ-99999 (XYZ-5678)ACME-0001 " + "word " * 40 + "ACME-777 ACME-7777"
    whole = "x" * 50 + " ***, XYZ-99999 (***)*** " + "word " * 40 + "ACME-777 ***"
    assert here.said(text, size=size)[0] == whole


def test_no_part_of_a_match_leaves_before_it_was_checked_and_the_rest_does(here: Here) -> None:
    here.write("{id: a, reason: r, do: mask, when: {patterns: ['secret [a-z]{1,20}!'], topics: [炸弹]}}")
    leaving = here.outgoing.reply(VERA, "m", "q")
    assert leaving is not None
    shown = ""
    for char in "well " * 40 + "secret " + "abcdefgh! and 炸弹 too. " + "then " * 60:
        shown += leaving.feed(char)
        assert "sec" not in shown and "abc" not in shown and "炸" not in shown
    assert "*** and *** too." in shown
    assert leaving.close().text.endswith("then " * 3)


def test_what_overlaps_is_masked_as_one_and_nothing_of_it_is_left(here: Here) -> None:
    here.write(
        "{id: a, reason: r, do: mask, when: {topics: [zhang]}}",
        "{id: b, reason: r, do: mask, when: {entities: [EMAIL], patterns: ['mail: [a-z]{5}']}}",
    )
    assert here.said("mail: zhang@example.com, li@example.com")[0] == "***, <EMAIL_1>"


@pytest.mark.parametrize(
    "pattern", ["begin.*end", "begin[^.]{2,}end", "begin(?:.|x){1,900}.{1,900}.{999}.{999}.{999}end"]
)
def test_a_mask_that_may_match_any_length_is_decided_when_the_reply_is_complete(here: Here, pattern: str) -> None:
    assert width(pattern) > WIDEST
    here.write(f"{{id: a, reason: r, do: mask, when: {{patterns: ['{pattern}']}}}}")
    leaving = here.outgoing.reply(VERA, "m", "q")
    assert leaving is not None
    text = "so: begin " + "x " * 2000 + "end."
    assert all(not leaving.feed(char) for char in text)
    assert leaving.close(text).text == "so: ***."


def test_a_blocked_reply_is_a_refusal_that_names_the_rule_and_is_kept_nowhere(here: Here) -> None:
    here.write("{id: arms, reason: arms are not explained, do: block, when: {topics: [nerve agent]}}")
    said, left = here.said("You mix a Nerve  Agent so: first " + "and then " * 50)
    assert "arms are not explained" in said and "arms)" in said and "Nerve" not in said
    assert (left.finish_reason, left.review) == (FILTERED, "")
    assert here.reviews.waiting(ADA) == [] and here.trail() == [("output.block", "deny", "arms")]
    assert here.said("Tell the agent a nerve is short.")[1].finish_reason == ""


def test_a_block_is_over_as_soon_as_a_pattern_is_certain_and_not_before(here: Here) -> None:
    here.write(r"{id: a, reason: r, do: block, when: {patterns: ['\bcat\b']}}")
    leaving = here.outgoing.reply(VERA, "m", "q")
    assert leaving is not None
    assert leaving.feed("x" * 61 + " cat") == "" and not leaving.over  # it may still become `catalogue`
    leaving.feed("alogue, and " + "y" * 100)
    assert not leaving.over
    leaving.feed(" a cat " + "z" * 300)
    assert leaving.over and leaving.close().finish_reason == FILTERED


def test_a_held_reply_waits_under_an_id_with_its_masks_on(here: Here) -> None:
    here.write("{id: law, reason: legal advice is read first, do: hold, when: {topics: [lawsuit]}}")
    said, left = here.said(f"A lawsuit takes {KEY}.")
    assert left.review and left.review in said and left.finish_reason == FILTERED and "takes" not in said
    assert here.reviews.get(left.review, ADA).text == "A lawsuit takes <API_KEY_1>."
    assert here.trail() == [("output.hold", "confirm", "law")]


def test_what_is_said_in_a_replys_place_is_in_the_language_of_the_question(here: Here) -> None:
    here.write("{id: a, reason: 不谈, do: block, when: {models: ['*']}}")
    leaving = here.outgoing.reply(VERA, "m", "怎么做")
    assert leaving is not None and leaving.close("x").text == "没有给出回答：不谈（规则 a）。"


@pytest.mark.parametrize(
    ("topic", "text", "found"),
    [
        ("bomb", "A BOMB.", True), ("bomb", "bombs", False), ("bomb", "x_bomb", False), ("bomb", "用bomb制作", True),
        ("bomb", "éBomb", False), ("炸弹", "怎么做炸弹呢", True), ("炸弹", "炸 弹", False), ("c++", "C++11", True),
        ("nerve agent", "nerve\nagent", True), ("nerve agent", "nerve agents", False), ("Привет", "ПРИВЕТ!", True),
        ("比特币 btc", "比特币  BTC", True), ("art", "state of the art", True), ("art", "party", False),
    ],
)
def test_topics_are_words_of_their_own_in_any_case_but_chinese_has_none(topic: str, text: str, found: bool) -> None:
    assert bool(list(Topics([topic]).spans(text.encode()))) is found


def test_limits_say_to_whom_and_of_which_models_a_rule_speaks(here: Here) -> None:
    limits = "callers: [bob, operator], models: ['Litellm:*', tiny]"
    here.write(f"{{id: a, reason: r, do: block, when: {{topics: [x], {limits}}}}}")

    def stopped(caller: Caller, model: str) -> bool:
        return here.said("an x is here", caller, model)[1].finish_reason == FILTERED

    assert stopped(OSCAR, "tiny") and stopped(Caller("bob", "viewer"), "litellm:openai/GPT")
    assert not stopped(VERA, "tiny") and not stopped(OSCAR, "tiny2") and not stopped(ADA, "tiny")


def test_the_name_of_a_role_is_no_users_and_a_role_that_was_taken_away_is_gone_at_once(here: Here) -> None:
    here.roles |= {"admin": "viewer"}
    here.write(
        "{id: staff, reason: r, do: pass, priority: 1, when: {callers: [admin]}}",
        "{id: a, reason: r, do: block, when: {topics: [x]}}",
    )
    assert here.said("x", ADA)[0] == "x"
    assert here.said("x", Caller("admin", "viewer"))[1].finish_reason == FILTERED
    here.roles["ada"] = "viewer"
    assert here.said("x", ADA)[1].finish_reason == FILTERED


def test_the_strictest_rule_acts(here: Here) -> None:
    here.write(
        "{id: m, reason: r, do: mask, when: {topics: [one]}}", "{id: h, reason: r, do: hold, when: {topics: [two]}}",
        "{id: b, reason: r, do: block, when: {topics: [three]}}", "{id: p, reason: r, do: pass, when: {topics: [one]}}",
    )
    assert here.said("one")[0] == "***"
    held = here.said("one two")[1]
    assert held.review and here.reviews.get(held.review, ADA).text == "*** two"
    assert "rule b" in here.said("one two three")[0]
    assert here.said("nothing")[0] == "nothing"


def test_of_equally_strict_rules_the_first_as_written_is_named(here: Here) -> None:
    here.write(*(f"{{id: {name}, reason: r, do: block, when: {{topics: [x]}}}}" for name in ("z", "a")))
    assert "rule z" in here.said("x")[0]


def test_a_pass_of_higher_priority_lifts_and_one_of_the_same_does_not(here: Here) -> None:
    here.write(
        "{id: low, reason: r, do: block, when: {topics: [bomb]}}",
        "{id: high, reason: r, do: block, priority: 5, when: {topics: [dirty]}}",
        "{id: same, reason: r, do: pass, when: {topics: [film]}}",
        "{id: history, reason: r, do: pass, priority: 5, when: {topics: [museum]}}",
    )
    assert "rule low" in here.said("a bomb in a film")[0]
    assert here.said("a bomb in a museum")[0] == "a bomb in a museum"
    assert "rule high" in here.said("a dirty bomb in a museum")[0]
    assert here.said("bomb, " + "and " * 200 + "museum")[1].finish_reason == ""


def test_a_pass_that_looks_at_the_reply_lifts_a_mask_of_the_whole_reply(here: Here) -> None:
    here.write("{id: docs, reason: r, do: pass, priority: 1, when: {patterns: ['EXAMPLE KEYS']}}")
    text = f"{KEY} " + "word " * 100 + "(EXAMPLE KEYS)"
    assert here.said(text)[0] == text


def test_where_no_rule_can_act_the_reply_is_not_looked_at(here: Here) -> None:
    here.write(
        "{id: free, reason: r, do: pass, priority: 1, when: {callers: [oscar]}}",
        "{id: a, reason: r, do: hold, when: {callers: [vera]}}",
    )
    assert here.outgoing.reply(OSCAR, "m", "q") is None
    assert here.outgoing.reply(VERA, "m", "q") is not None


def test_an_owners_rule_takes_the_place_of_the_shipped_one_of_its_id(here: Here) -> None:
    here.write("{id: mask-keys, reason: none, do: pass, when: {models: ['*']}}")
    assert here.outgoing.reply(VERA, "m", "q") is None


BROKEN = [
    ("rules: [", "1", "expected"),
    ("rules:\n  - {id: a, id: b}\n", "2", "twice"),
    ("rules: 3\n", "1", "list of rules"),
    ("rule: []\n", "1", "list of rules"),
    ("rules:\n  - x\n", "2", "no fields"),
    ("rules:\n  - {reason: r, do: pass, when: {topics: [a]}}\n", "2", "'id'"),
    ("rules:\n  - {id: a, do: pass, when: {topics: [a]}}\n", "2", "'reason'"),
    ("rules:\n  - {id: a, reason: r, do: drop, when: {topics: [a]}}\n", "2", "block, hold, mask, pass"),
    ("rules:\n  - {id: a, reason: r, do: pass}\n", "2", "'when'"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {}}\n", "2", "'when'"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {words: [a]}}\n", "2", "'when'"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {topics: a}}\n", "2", "list of texts"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {topics: [3]}}\n", "2", "list of texts"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {entities: [CARD]}}\n", "2", "BANK_CARD"),
    ("rules:\n  - {id: a, reason: r, do: mask, when: {callers: [vera]}}\n", "2", "block or hold"),
    ("rules:\n  - {id: a, reason: r, do: pass, priority: high, when: {topics: [a]}}\n", "2", "whole number"),
    ("rules:\n\n\n  - {id: a, reason: r, do: block, when: {patterns: ['(a']}}\n", "4", "RE2"),
    ("rules:\n  - {id: a, reason: r, do: block, when: {patterns: ['(?=a)b']}}\n", "2", "RE2"),
    ("rules:\n  - {id: a, reason: r, do: block, when: {patterns: ['a*']}}\n", "2", "every reply"),
    ("rules:\n  - {id: a, reason: r, do: pass, when: {topics: [a]}}\n"
     "  - {id: a, reason: r, do: pass, when: {topics: [b]}}\n", "3", "bears the id"),
]


@pytest.mark.parametrize(("text", "line", "says"), BROKEN)
def test_what_is_wrong_with_a_file_is_said_with_its_place(text: str, line: str, says: str) -> None:
    with pytest.raises(UserError) as told:
        read({"mine.yaml": text})
    assert f"mine.yaml:{line}" in str(told.value) and says in str(told.value)


def test_a_broken_file_stops_a_start(here: Here) -> None:
    here.write("{id: a}")
    with pytest.raises(UserError, match=rf"{FILE}:2: this rule"):
        assert here.outgoing


def test_a_file_that_breaks_later_changes_nothing_and_one_that_is_mended_is_in_force_at_once(here: Here) -> None:
    here.write("{id: a, reason: r, do: block, when: {topics: [x]}}")
    assert here.said("x")[1].finish_reason == FILTERED
    here.write("{id: a, reason: r, do: block, when: {topics: [y}}")
    assert here.said("x")[1].finish_reason == FILTERED and f"{FILE}:2" in here.outgoing.wrong()
    here.write("{id: a, reason: r, do: block, when: {topics: [y]}}")
    assert here.said("x")[1].finish_reason == "" and here.said("y")[1].finish_reason == FILTERED
    assert here.outgoing.wrong() == ""
    (here.folder / FILE).unlink()
    assert here.said("y")[1].finish_reason == "" and here.said(KEY)[0] == "<API_KEY_1>"


def test_a_file_that_somebody_may_still_be_writing_is_left_for_the_next_look(here: Here) -> None:
    assert here.said("x")[0] == "x"
    here.write("{id: a, reason: r, do: block, when: {topics: [x]}}")
    os.utime(here.folder / FILE, (here.clock.now, here.clock.now))
    assert here.said("x")[0] == "x"
    here.clock.now += 1
    assert here.said("x")[1].finish_reason == FILTERED


def test_what_ships_is_read_and_its_example_is_valid() -> None:
    text = shipped()
    assert [rule.id for rule in read({FILE: text})] == ["mask-keys"]
    lines = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")]
    example = "\n".join(lines[lines.index("rules:") :][:11])
    (rule,) = read({"example": example})
    assert (rule.id, rule.do, len(rule.finders)) == ("weapons", "hold", 2)
    assert set(ROLES) & set(rule.callers)


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("abc", 3), ("a{2,5}b", 6), ("(ab|cde){2}", 6), ("[a-z]{20,48}-x", 50), (r"\d{4}-\d{4}", 9), ("foo(?:bar)?", 7),
        (r"[^\]x]{2}", 2), ("[]a]{3}", 3), ("(?i)foo|ba[[:alpha:]]{3}", 5), ("a{,5}", 5), ("(?P<n>x){3}", 3),
        ("a+", float("inf")), ("(a*|b){3}", float("inf")), ("a{3,}", float("inf")), (r"\Qa+\E", float("inf")),
    ],
)
def test_the_width_of_a_pattern_is_the_longest_match_or_more(pattern: str, most: float) -> None:
    assert width(pattern) == most


PIECES = [
    "the ", "cat ", "start", "end", " ab", "aaaa", "zed@example.com ", "xccy", "b c", "\nli", "字", "é1字", "。",
    "-----", " = ", " AKIAQ3EGX7RT5NZ2WLPA",
    " Authorization: Bearer abc123def456ghi789jkl0 ", f" {KEY}", f" {KEY[:200]}\n",
    *"ab1 .\n",
]
WHEN = [
    {"patterns": ["a{2}", r"\bcat\b", "x.{0,6}y", "end$"], "topics": ["ab", "字"]},
    {"patterns": ["^start", "(?m)^li", "b{0,3} c"], "entities": ["EMAIL"], "topics": ["cat", "xccy"]},
    {"entities": ["API_KEY"]},
    {"entities": ["API_KEY"], "patterns": ["the.{0,9}cat", "(?s)a.b"]},
]


@pytest.mark.parametrize("seed", range(40))
def test_a_stream_lets_out_what_the_whole_reply_would_have_become(seed: int) -> None:
    draw = random.Random(seed)
    for when in WHEN:
        rules = read({"f": json.dumps({"rules": [{"id": "a", "reason": "r", "do": "mask", "when": when}]})})
        text = "".join(draw.choice(PIECES) for _ in range(120))
        stream, at, out = Stream(Masks(rules)), 0, ""
        while at < len(text):
            size = draw.choice([1, 2, 5, 17, 80])
            out += stream.feed(text[at : at + size])
            at += size
        assert out + stream.close() == Masks(rules).mask(text)


def test_with_the_rules_that_ship_prose_does_not_wait(here: Here) -> None:
    leaving = here.outgoing.reply(VERA, "m", "q")
    assert leaving is not None
    pieces = ["The", " story", " is ", "fine", ". 今天", "天气不错", "。", '"So', " it", ' is"']
    assert [leaving.feed(piece) for piece in pieces] == pieces
    assert leaving.close().rest == ""


def test_what_a_key_may_begin_with_waits(here: Here) -> None:
    for begun in ("s", "sk", "-", "AK", "see 12", "the api key is Wonder", 'token: "Wonder', "令牌：abc"):
        assert begun not in _begun(here, begun)


def _begun(here: Here, begun: str) -> str:
    leaving = here.outgoing.reply(VERA, "m", "q")
    assert leaving is not None
    return leaving.feed(begun)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 19])
def test_no_key_leaves_in_part_however_the_stream_is_cut(size: int) -> None:
    rules, looked = list(read({"f": shipped()})), 0
    cases = yaml.safe_load(resources.files("agentos.evals").joinpath("redact.yaml").read_text("utf-8"))["cases"]
    for text in (f"{before}{case['text']}" for case in cases for before in ("", "Well, then. ")):
        masked = Masks(rules).mask(text)
        if masked == text:
            continue
        stream = Stream(Masks(rules))
        assert "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.close() == masked
        looked += 1
    assert looked > 50
