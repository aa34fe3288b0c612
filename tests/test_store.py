"""The one database: all or nothing, and on disk when it says so."""

import pytest

from agentos.store import Store


def synchronous(store: Store) -> int:
    return int(store.connection.execute("pragma synchronous").fetchone()[0])


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "s.db")
    made.connection.execute("create table t (n)")
    yield made
    made.close()


@pytest.mark.parametrize("lasting", [True, False])
def test_a_transaction_that_fails_leaves_nothing(store, lasting):
    with pytest.raises(RuntimeError), store.transaction(lasting) as db:
        db.execute("insert into t values (1)")
        raise RuntimeError
    assert store.connection.execute("select count(*) from t").fetchone() == (0,)
    assert synchronous(store) == 2


def test_one_that_need_not_last_waits_for_no_disk_and_the_next_one_does(store):
    with store.transaction(lasting=False) as db:
        assert synchronous(store) == 1
        db.execute("insert into t values (1)")
    with store.transaction() as db:
        assert synchronous(store) == 2
        db.execute("insert into t values (2)")
    assert store.connection.execute("select n from t").fetchall() == [(1,), (2,)]
