"""What is sealed on disk: by whom it may be, and opened again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from agentos.datasets.shelf import DATA
from agentos.sealing.files import is_sealed

from .live import Live, running


def asked(live: Live, key: str, method: str, path: str, data: Any = None) -> tuple[int, Any]:
    said = httpx.request(
        method, f"{live.base}{path}", json=data, headers={"authorization": f"Bearer {key}"}, timeout=60
    )
    return said.status_code, said.json()


def test_its_owner_makes_it_private_and_nobody_opens_it_by_another_name(tmp_path: Path) -> None:
    (rows := tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"row {number}", "label": "ab"[number % 2]}) + "\n" for number in range(20))
    )
    with running(tmp_path / "home") as live:
        async def keys() -> dict[str, str]:
            live.system.people.add("bert", "operator")
            create = live.system.people.create_key
            return {"bert": create("bert").key, "looks": create("otto", "viewer").key}

        made = live.keys | live.do(keys)
        for user, name in (("otto", "people"), ("bert", "same")):
            add = {"args": {"path": str(rows), "name": name}}
            assert asked(live, made[user], "POST", "/syscalls/datasets.add", add)[0] == 200
        people = {"kind": "dataset", "name": "people"}
        assert asked(live, made["bert"], "PUT", "/private", people)[0] == 403, "it is another's"
        assert asked(live, made["looks"], "PUT", "/private", people)[0] == 403, "a key that may only look"
        status, said = asked(live, made["otto"], "PUT", "/private", people)
        assert status == 200 and said["files"] == 1
        kept = tmp_path / "home" / "datasets" / "people" / DATA
        for user, name in (("looks", "people"), ("bert", "people"), ("bert", "same")):
            status, _ = asked(live, made[user], "PUT", "/private", {**people, "name": name, "private": False})
            assert status == 403 and is_sealed(kept), "it would be in clear with the other"
        assert len(asked(live, made["vera"], "GET", "/private")[1]["private"]) == 2
        assert asked(live, made["ada"], "PUT", "/private", {**people, "private": False})[0] == 200
        assert not is_sealed(kept)
