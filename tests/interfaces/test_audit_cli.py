"""The audit trail from the command line: searched, exported, verified with and without the system."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from .conftest import Agentos


def test_a_search_prints_rows_and_who_is_no_administrator_sees_their_own(agentos: Agentos) -> None:
    agentos.run("keys", "create", "--user", "olga")
    assert agentos.run("--as", "olga", "call", "models.list").returncode == 0
    assert agentos.run("call", "resources.query", "--kind", "memory").returncode == 0
    found = agentos.json("audit", "search", "--json")
    assert {"olga"} < {row["user"] for row in found["rows"]}  # type: ignore[index, union-attr]
    done = agentos.run("audit", "search", "--syscall", "models.list", "--user", "olga")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["row", "time", "user", "syscall", "decision", "outcome", "rule", "door", "arguments"]
    assert rows and all("olga" in row and "models.list" in row and "allow" in row for row in rows)
    own = agentos.json("--as", "olga", "audit", "search", "--json")
    assert {row["user"] for row in own["rows"]} == {"olga"}  # type: ignore[index, union-attr]
    assert len(agentos.json("audit", "search", "--limit", "1", "--json")["rows"]) == 1  # type: ignore[arg-type]
    assert agentos.run("audit", "search", "--since", "2000-01-01", "--decision", "deny").returncode == 0
    for wrong in (("--limit", "0"), ("--since", "when cows come home")):
        done = agentos.run("audit", "search", *wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


def test_an_export_is_for_administrators_and_verified_by_the_public_key(agentos: Agentos, tmp_path: Path) -> None:
    file, public = tmp_path / "trail.jsonl", str(agentos.home / "audit" / "public.pem")
    said = agentos.json("audit", "export", str(file), "--json")
    assert said["rows"] == said["head"]["row"] == len(file.read_text("utf-8").splitlines()) - 1  # type: ignore[index]
    assert file.stat().st_mode & 0o777 == 0o600 and [*tmp_path.iterdir()] == [file]
    checked = agentos.json("audit", "verify", "--export", str(file), "--key", public, "--json")
    assert (checked["ok"], checked["rows"]) == (True, said["rows"])
    assert agentos.run("audit", "verify", "--head", str(file)).returncode == 0
    piped = agentos.run("audit", "export")
    assert "public_key" in json.loads(piped.stdout.splitlines()[-1])
    file.write_text(file.read_text("utf-8").replace("models", "module", 1), "utf-8")
    done = agentos.run("audit", "verify", "--export", str(file), "--key", public)
    assert done.returncode == 1 and "first bad row" in done.stdout
    part = agentos.json("audit", "export", str(file), "--user", "olga", "--json")
    assert "cannot be verified" in str(part["part"])
    assert agentos.run("audit", "verify", "--export", str(file), "--key", public).returncode == 1
    agentos.run("keys", "create", "--user", "olga")
    assert agentos.run("--as", "olga", "audit", "export", str(file)).returncode == 3
    for wrong in (["--key", str(file)], ["--export", "/no/such/file"], ["--head", public]):
        assert agentos.run("audit", "verify", *wrong).returncode == 2


def test_a_trail_is_verified_with_the_system_and_without_it(fresh: Agentos, tmp_path: Path) -> None:
    assert fresh.run("audit", "verify").returncode == 2  # there is nothing yet, and nothing is started for it
    assert not (fresh.home / "agentos.sock").exists()
    assert fresh.run("call", "models.list").returncode == 0
    found = fresh.json("audit", "verify", "--json")
    assert (found["ok"], found["uncovered"]) == (True, 0) and found["rows"]
    done = fresh.run("audit", "verify")
    assert "right: " in done.stdout and "signed to row" in done.stdout
    assert fresh.run("stop").returncode == 0
    found = fresh.json("audit", "verify", "--json")
    assert (found["ok"], found["uncovered"]) == (True, 0)
    kept = Path(shutil.copy(fresh.home / "audit" / "heads.jsonl", tmp_path / "kept"))
    with closing(sqlite3.connect(fresh.home / "agentos.db")) as db:
        db.execute("drop trigger audit_no_update")
        db.execute("update audit set user = 'eve' where id = 2")
        db.commit()
    done = fresh.run("audit", "verify", "--head", str(kept))
    assert done.returncode == 1 and "first bad row 2" in done.stdout
