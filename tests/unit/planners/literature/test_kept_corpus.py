"""Procedures kept between runs are those that were read."""

import os

import pytest

from alab.errors import BadInput
from planners.literature import kept_corpus
from planners.literature.corpus import read_corpus
from planners.literature.kept_corpus import procedures_of
from tests.unit.planners.literature.corpora import spinels_and_perovskites, write


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.setenv("ALAB_CACHE_DIR", str(tmp_path / "kept"))
    procedures_of.cache_clear()
    return write(spinels_and_perovskites(), tmp_path / "c.json")


def test_what_is_kept_is_what_was_read(copy, tmp_path, monkeypatch):
    assert procedures_of(copy) == read_corpus(copy).procedures
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.suffix == ".json"
    procedures_of.cache_clear()
    monkeypatch.setattr(kept_corpus, "read_corpus", None)  # it is not read again
    assert procedures_of(copy) == read_corpus(copy).procedures


def test_a_damaged_file_is_written_anew(copy, tmp_path):
    read = procedures_of(copy)
    (kept,) = (tmp_path / "kept").iterdir()
    whole = kept.read_text()
    for damage in (whole[:100], '[{"doi": "10.1/x"}]', "7"):
        kept.write_text(damage)
        procedures_of.cache_clear()
        assert procedures_of(copy) == read
        assert kept.read_text() == whole


def test_another_copy_is_kept_apart(copy, tmp_path):
    procedures_of(copy)
    other = write(spinels_and_perovskites()[:3], tmp_path / "other.json")
    assert len(procedures_of(other)) == 3
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_folder_that_keeps_nothing_does_not_matter(copy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALAB_CACHE_DIR", os.fspath(tmp_path / "file"))
    assert procedures_of(copy) == read_corpus(copy).procedures


def test_what_is_no_copy_is_refused(copy, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    with pytest.raises(BadInput, match="is no copy of the text-mined reactions"):
        procedures_of(wrong)
