from planners.literature.corpus import read_corpus
from planners.literature.split import by_target, split
from tests.unit.planners.literature.corpora import reaction, spinels_and_perovskites, write


def test_parts_share_no_composition_however_it_is_written(tmp_path):
    entries = spinels_and_perovskites()
    doubled = [reaction(e["targets_string"][0], ["TiO2"], []) for e in entries]
    for entry in doubled:
        entry["target"]["material_string"] += " ceramics"
    procedures = read_corpus(write(entries + doubled, tmp_path / "c.json")).procedures
    parts = split(procedures)
    keys = [{p.key for p in part} for part in (parts.train, parts.validation, parts.test)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    assert sum(map(len, (parts.train, parts.validation, parts.test))) == len(procedures)
    assert len(keys[2]) == round(0.2098 * len({p.key for p in procedures}))


def test_the_split_does_not_depend_on_the_order(tmp_path):
    entries = spinels_and_perovskites()
    one = split(read_corpus(write(entries, tmp_path / "a.json")).procedures)
    other = split(read_corpus(write(entries[::-1], tmp_path / "b.json")).procedures)
    assert {p.key for p in one.test} == {p.key for p in other.test}
    assert by_target(one.test).keys() == by_target(other.test).keys()
