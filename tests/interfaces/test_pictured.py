from typing import Any

from agentos.interfaces.pictured import pictured
from agentos.interfaces.show import width
from agentos.interfaces.words import speaker

MACHINE: dict[str, Any] = {
    "cpu": {"used": 50.0}, "memory": {"percent": 95.0},
    "gpus": [{"index": 0, "memory_total": 100, "memory_used": 25}, {"index": 1, "memory_total": None}],
    "disks": [{"mount": "/", "percent": 10.0}],
}


def test_what_is_taken_of_a_machine_is_a_bar_for_each_part() -> None:
    drawn = pictured("resources.query", MACHINE, 79, speaker("en"))
    assert [line.split()[0] for line in drawn.splitlines()] == ["CPU", "Memory", "GPU", "Disk"]
    assert "50.0%" in drawn and "25.0%" in drawn and drawn.count("█") == 15 + 28 + 8 + 3
    assert "内存" in pictured("resources.query", MACHINE, 79, speaker("zh"))


def test_what_is_nearly_used_up_is_told_apart_by_colour_where_there_is_any() -> None:
    lines = pictured("resources.query", MACHINE, 79, speaker("en"), colour=True).splitlines()
    assert "\x1b[31m" in lines[1] and "\x1b[32m" in lines[0]


def test_the_balance_of_labels_is_drawn_and_long_names_are_cut() -> None:
    balance = [{"label": "好评" * 30, "share": 0.75, "rows": 3}, {"label": "neg\x1b[2J", "share": 0.25, "rows": 1}]
    drawn = pictured("datasets.show", {"balance": balance}, 60, speaker("zh"), ascii_only=True)
    assert "75.0%" in drawn and "#" in drawn and "\x1b" not in drawn
    assert all(width(line) <= 60 for line in drawn.splitlines())
    many = [{"label": str(n), "share": 0.01, "rows": 1} for n in range(100)]
    assert pictured("datasets.show", {"balance": many}, 60, speaker("en")).splitlines()[-1] == "… 88"


def test_other_results_and_narrow_screens_get_none() -> None:
    assert pictured("models.list", {"models": []}, 79, speaker("en")) == ""
    assert pictured("resources.query", None, 79, speaker("en")) == ""
    assert pictured("resources.query", MACHINE, 12, speaker("en")) == ""
