"""Secrets are sealed on disk, belong to one person each, and show in no text that the system makes."""

import os
import random
import stat
import traceback

import pytest

from agentos.errors import Failed, NotFound, UserError
from agentos.secrets import Masker, Secrets
from agentos.store import Store

VALUE = "hf_s3cr3t-värde-\N{SNOWMAN}"


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "home" / "agentos.db")
    yield opened
    opened.close()


@pytest.fixture
def secrets(store):
    return Secrets(store, clock=lambda: 1_780_000_000.0)


def test_a_secret_comes_back_to_its_owner_also_after_a_restart(store, secrets):
    secrets.put("HF_TOKEN", VALUE, "ann")
    assert secrets.get("HF_TOKEN", "ann").value == VALUE
    assert Secrets(store).environment(["HF_TOKEN"], "ann") == {"HF_TOKEN": VALUE}
    secrets.put("HF_TOKEN", "another", "ann")
    assert secrets.get("HF_TOKEN", "ann").value == "another"
    assert secrets.names("ann") == ["HF_TOKEN"]


def test_nobody_reads_or_drops_what_is_anothers(secrets):
    secrets.put("TOKEN", VALUE, "ann")
    assert secrets.names("root") == []
    for act in (secrets.get, secrets.drop):
        with pytest.raises(NotFound) as refused:
            act("TOKEN", "root")
        assert "ann" not in str(refused.value)
    assert secrets.get("TOKEN", "ann").value == VALUE


def test_no_byte_of_a_value_is_on_disk_and_no_text_shows_it(store, secrets):
    secrets.put("TOKEN", VALUE, "ann")
    store.connection.execute("pragma wal_checkpoint(full)")
    for file in store.path.parent.iterdir():
        assert VALUE.encode() not in file.read_bytes()
    assert VALUE not in f"{secrets.get('TOKEN', 'ann')!r} {secrets.get('TOKEN', 'ann')} {secrets!r}"


@pytest.mark.parametrize("value", ["", "hush\0hush", "hush" * 20_000, "hush\ud800"])
def test_an_unusable_value_is_refused_and_not_repeated(secrets, value):
    with pytest.raises(UserError) as refused:
        secrets.put("TOKEN", value, "ann")
    chain, shown = refused.value, ""
    while chain is not None:
        shown += "".join(traceback.format_exception(chain)) + repr(vars(chain))
        chain = chain.__context__
    assert "hush" not in shown.replace(__file__, "")
    assert secrets.names("ann") == []


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä", "A" * 129])
def test_a_name_is_one_of_an_environment_variable(secrets, name):
    with pytest.raises(UserError, match="cannot name a secret"):
        secrets.put(name, VALUE, "ann")


def test_the_key_is_its_owners_alone_and_refused_when_it_is_not(store, secrets):
    secrets.put("TOKEN", VALUE, "ann")
    key = store.path.parent / "secrets.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    for act in (lambda: secrets.get("TOKEN", "ann"), lambda: secrets.put("OTHER", "x" * 9, "ann")):
        with pytest.raises(Failed, match=r"mode 640.*chmod 600"):
            act()
    key.chmod(0o600)
    assert secrets.get("TOKEN", "ann").value == VALUE


def test_a_missing_or_foreign_key_is_told_and_never_replaced(store, secrets):
    secrets.put("TOKEN", VALUE, "ann")
    key = store.path.parent / "secrets.key"
    kept = key.read_bytes()
    key.unlink()
    for act in (lambda: secrets.get("TOKEN", "ann"), lambda: secrets.put("OTHER", "x" * 9, "ann")):
        with pytest.raises(Failed, match=r"is missing; nothing was changed.*from a copy"):
            act()
    assert not key.exists()
    for wrong, said in ((os.urandom(32), "holds another key than before"), (b"short", "does not hold a key")):
        key.write_bytes(wrong)
        key.chmod(0o600)
        for act in (lambda: secrets.get("TOKEN", "ann"), lambda: secrets.put("OTHER", "x" * 9, "ann")):
            with pytest.raises(Failed, match=said):
                act()
    key.write_bytes(kept)
    assert secrets.get("TOKEN", "ann").value == VALUE
    key.unlink()
    secrets.drop("TOKEN", "ann")
    assert secrets.names("ann") == []


def test_a_key_that_is_a_link_is_refused(store, secrets, tmp_path):
    (tmp_path / "elsewhere").write_bytes(os.urandom(32))
    (store.path.parent / "secrets.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failed, match="cannot be read"):
        secrets.put("TOKEN", VALUE, "ann")


def test_a_row_moved_to_another_name_or_owner_does_not_open(store, secrets):
    secrets.put("TOKEN", VALUE, "ann")
    with store.transaction() as db:
        db.execute("insert into secrets select 'bob', name, sealed, changed from secrets")
        db.execute("insert into secrets select user, 'OTHER', sealed, changed from secrets where user = 'ann'")
    for name, user in (("TOKEN", "bob"), ("OTHER", "ann")):
        with pytest.raises(Failed):
            secrets.get(name, user)


def test_output_is_masked_the_same_however_it_is_cut():
    values = {"A": "abab", "B": "ababcc", "C": "ccab\nsecondline", "SHORT": "a"}
    whole = Masker(values)
    rng = random.Random(7)
    for _ in range(400):
        pieces = rng.choices([b"ab", b"c", b"cc", b"a", b"abab", b"ababcc", b"secondline", b"\n"], k=12)
        text = b"".join(pieces)
        masker, out, rest = Masker(values), b"", text
        while rest:
            cut = rng.randint(1, 5)
            out += masker.feed(rest[:cut])
            rest = rest[cut:]
        out += masker.flush()
        assert out == whole.mask(text)
        assert b"ababcc" not in out and b"abab" not in out and b"secondline" not in out


def test_a_masked_value_is_called_by_its_name():
    masker = Masker({"TOKEN": "hush-hush"})
    assert masker.feed(b"token=hush-") == b"token="
    assert masker.feed(b"hush\n") == b"[secret TOKEN]\n"
    assert masker.feed(b"no secret: hush") == b"no secret: "
    assert masker.flush() == b"hush"
    assert Masker({}).mask(b"as it is") == b"as it is"
