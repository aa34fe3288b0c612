"""Traces are read in both formats, and a bad row is named."""

from __future__ import annotations

import pytest

from agentos.errors import UserError
from agentos.jobs.traces import TraceJob, read_trace

PHILLY = """timestamp,duration,num_gpus,gpu_time,cluster
2017-10-09 07:01:55,66.0,1,66.0,a
2017-10-09 06:13:03,2951.0,2,2951.0,b
"""


@pytest.fixture
def write(tmp_path):
    def put(text: str):
        path = tmp_path / "trace.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def test_a_trace_with_a_header_is_read_by_its_columns_and_sorted(write):
    assert read_trace(write(PHILLY)) == [TraceJob(1507529583.0, 2951.0, 2, "b"), TraceJob(1507532515.0, 66.0, 1, "a")]


@pytest.mark.parametrize(
    "header", ["", "submission time,duration,GPUs\n".replace("submission time", "submission_time")]
)
def test_three_columns_with_or_without_a_header_are_read(write, header):
    assert read_trace(write(header + "0,10,1\n5.5,20.5,4\n")) == [TraceJob(0.0, 10.0, 1), TraceJob(5.5, 20.5, 4)]


def test_a_time_may_carry_its_zone(write):
    assert read_trace(write("1970-01-01T08:00:10+08:00,1,1\n"))[0].submitted == 10.0


def test_only_the_first_jobs_are_read_when_so_asked(write):
    assert [job.submitted for job in read_trace(write("9,1,1\n1,1,1\n5,1,1\n"), limit=2)] == [1.0, 5.0]


def test_blank_lines_and_a_byte_order_mark_do_not_matter(write):
    assert len(read_trace(write("\ufeff0,1,1\n\n  \n1,1,1\n"))) == 2


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("0,1,1\n3,4\n", 2, "2 columns"),
        ("0,1,1\n1,-4,1\n", 2, "no duration"),
        ("0,1,1\n1,nan,1\n", 2, "no duration"),
        ("0,1,1\n1,inf,1\n", 2, "no duration"),
        ("0,1,1\n1,x,1\n", 2, "no duration"),
        ("0,1,1\n1,1,1.5\n", 2, "no number of GPUs"),
        ("0,1,1\n1,1,-1\n", 2, "no number of GPUs"),
        ("0,1,1\n1,1,\n", 2, "no number of GPUs"),
        ("0,1,1\nsoon,1,1\n", 2, "no time"),
        ("0,1,1\n\n\n1,1,many\n", 4, "no number of GPUs"),
        ("when,how,many\n0,1,1\n", 1, "no column"),
        (PHILLY + "2017-13-09 07:01:55,1,1,1,a\n", 4, "no time"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_nothing_is_simulated(write, text, line, what):
    with pytest.raises(UserError, match=f"line {line}: .*{what}.*nothing was simulated"):
        read_trace(write(text))


def test_no_file_an_empty_one_a_folder_and_one_that_is_no_text_are_told_apart(write, tmp_path):
    with pytest.raises(UserError, match="there is no trace"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is empty"):
        read_trace(write("\n\n"))
    with pytest.raises(UserError, match="no jobs"):
        read_trace(write("timestamp,duration,num_gpus\n"))
    with pytest.raises(UserError, match="cannot be read"):
        read_trace(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="cannot be read"):
        read_trace(tmp_path / "binary")
