"""The tables of the queue, and the indexes that keep each step the same at any length."""

from __future__ import annotations

from agentos.sealing import Sealer
from agentos.store import Store

TABLES = """
create table if not exists jobs (
    id integer primary key,
    command text not null, name text not null, cwd text not null, env text not null, secrets text not null,
    cpus integer not null, gpus integer not null, memory integer, priority text not null, time_limit real,
    retries integer not null, backoff real not null, user text not null, kind text not null, payload text not null,
    session text not null, run text not null, call text, after text not null, not_before real,
    state text not null, reason text not null, submitted real not null, ready real, wake real,
    pending integer not null, attempts integer not null, failures integer not null, losses integer not null,
    blame integer, cancelled_by text, done real, total real, message text not null, started real, ended real,
    preemptible integer not null, attained real not null
);
create unique index if not exists jobs_call on jobs (call, user) where call is not null;
create index if not exists jobs_name on jobs (name);
create index if not exists jobs_state on jobs (state, id);
create index if not exists jobs_user on jobs (user, id);
create index if not exists jobs_wake on jobs (wake) where wake is not null;
create index if not exists jobs_blame on jobs (blame) where blame is not null;

create table if not exists job_edges (
    parent integer not null, child integer not null, met integer not null, primary key (parent, child)
) without rowid;
create index if not exists job_edges_child on job_edges (child);

create table if not exists job_attempts (
    job integer not null, attempt integer not null, node text not null, gpus text not null,
    owner text not null, until real not null, claimed real not null,
    outcome text, exit_code integer, signal integer, peak_memory integer, started real, finished real,
    detail text not null, dropped integer not null, primary key (job, attempt)
) without rowid;
create index if not exists job_attempts_open on job_attempts (until) where outcome is null;
create trigger if not exists job_results_stay before update on job_attempts when old.outcome is not null
begin select raise(abort, 'a recorded result never changes'); end;
create trigger if not exists job_results_last before delete on job_attempts
begin select raise(abort, 'a recorded attempt is never deleted'); end;
"""
# `wake` is set where nothing but a time is waited for; `pending` counts the edges that are not met;
# `blame` is the job for whose failure this one failed without having run.


def make(store: Store) -> Sealer:
    """Makes what is missing; gives what people wrote is sealed with.

    Raises:
        Failed: the key that jobs were sealed with is missing or cannot be read.
    """
    sealer = Sealer(store.path.parent, "jobs")
    store.connection.executescript(TABLES)
    if store.connection.execute("select 1 from jobs limit 1").fetchone():
        sealer.ready()
    return sealer
