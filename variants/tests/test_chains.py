"""Names of variants: what they mean, and why some make no sense. Nothing is built here."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.variants.lab import builders, chains
from tinyrig.variants.lab.builders import BASES, BUILT_IN, CONVERTED, DENSE, STEPS


def parse(name, epochs=None):
    return chains.parse(name, BUILT_IN, epochs)


def lineage(node):
    return [*(lineage(node.parent) if node.parent else []), node.name]


def test_a_chain_starts_from_all_its_beginnings():
    node = parse("simple+l1-filters@0.5+pqt")
    assert lineage(node) == ["simple", "simple+l1-filters@0.5", "simple+l1-filters@0.5+pqt"]
    assert node.parent.settings["ratio"] == 0.5 and node.parent.settings["norm"] == "l1"
    assert node.parent.filters == (8,) and node.gives == CONVERTED
    assert lineage(parse("pqt")) == ["simple", "pruned", "reshaped", "pqt"]


PARTS = st.sampled_from(
    [
        "l1-filters@0.25",
        "l2-filters@0.5",
        "random-init@0.5",
        "trained@5",
        "cut@1",
        "pruned@0.5",
        "reshaped",
        "cluster@16",
        "qat",
        "pqt",
        "int16x8",
        "dynamic",
        "float16",
    ]
)


@given(st.sampled_from(list(BASES)), st.lists(PARTS, max_size=5))
def test_any_chain_is_read_or_refused_with_a_remedy(base, parts):
    name = "+".join([base, *parts])
    try:
        node = parse(name)
    except UserError as error:
        assert error.expected and error.received and error.remedy
        return
    assert node.name == name and len(lineage(node)) - len(parts) == len(lineage(parse(base)))
    states = [n.gives for n in [parse("+".join([base, *parts[:i]])) for i in range(len(parts))]]
    assert CONVERTED not in states


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "not a variant name"),
        ("tiny", "unknown variant 'tiny'"),
        ("../x", "not a variant name"),
        ("Simple", "not a variant name"),
        ("simple+", "not a variant name"),
        ("simple++pqt", "not a variant name"),
        ("simple@2", "not a variant name"),
        ("simple+foo", "unknown step 'foo' in simple"),
        ("qat", "put a base before it, like simple\\+qat"),
        ("simple+l1-filters", "needs ratio"),
        ("simple+l1-filters@", "needs ratio"),
        ("simple+l1-filters@half", "needs ratio"),
        ("simple+l1-filters@0", "ratio out of range"),
        ("simple+l1-filters@1", "ratio out of range"),
        ("simple+l1-filters@nan", "out of range"),
        ("simple+l1-filters@1e-1", "one spelling"),
        ("simple+l1-filters@0.50", "expected: l1-filters@0.5\n"),
        ("simple+l1-filters@.5", "expected: l1-filters@0.5\n"),
        ("simple+l1-filters@0.01", "removes no filter"),
        ("simple+l1-filters@0.99", "removes every filter"),
        ("simple+cluster@1", "clusters out of range"),
        ("simple+cluster@16.5", "needs clusters"),
        ("simple+cluster@016", "one spelling"),
        ("simple+pqt@8", "takes no argument"),
        ("simple+cut@1", "nothing to cut"),
        ("deep+cut@3", "nothing to cut"),
        ("deep+cut@2+cut@2", "nothing to cut"),
        ("simple+pqt+l1-filters@0.5", "l1-filters can't follow simple\\+pqt[\\s\\S]*no float network"),
        ("pqt+pqt", "pqt can't follow pqt"),
        ("simple+qat+float16", "float16 can't follow"),
        ("pruned+l1-filters@0.5", "would fill the zeros"),
        ("simple+cluster@16+qat", "would undo the clusters"),
        ("simple+reshaped", "directly after pruned@R"),
        ("simple" + "+trained@20" * 20, "not a variant name"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_trained(name, words):
    with pytest.raises(UserError, match=words):
        parse(name)


def test_names_are_file_names_and_different_variants_have_different_ones():
    nodes = chains.plan(builders.EVERY_LINE, BUILT_IN)
    assert len({node.name for node in nodes}) == len(nodes)
    for node in nodes:
        assert node.name.isprintable() and not set(node.name) & set("/\\ :*?\"'<>|$&;") and not node.name.startswith((".", "-"))


def test_every_line_of_the_tables_is_among_all():
    assert {node.line for node in chains.plan(builders.EVERY_LINE, BUILT_IN)} == {*BASES, *STEPS}
    assert set(builders.DEFAULT) <= set(BASES)


def test_table_is_ordered_and_closed():
    names = list(BASES)
    for name, base in BASES.items():
        assert base.parent is None or names.index(base.parent) < names.index(name)
    for step in STEPS.values():
        assert {*step.takes, step.gives} <= {DENSE, builders.SPARSE, builders.CLUSTERED, CONVERTED}


def test_epochs_replace_only_where_there_is_training():
    assert parse("simple", 3).settings["epochs"] == 3 and parse("deep+cut@1", 3).settings["head_epochs"] == 3
    assert "epochs" not in parse("pqt", 3).settings and parse("simple+trained@9", 3).settings["epochs"] == 3
    assert parse("pruned").settings["epochs"] == 20 and parse("reshaped").settings["epochs"] == 50


def test_notes_follow_the_zeros_and_end_with_them():
    assert "unpruned" in parse("pruned").notes[0]
    assert parse("pruned+pqt").notes == parse("pruned").notes
    assert parse("reshaped").notes == parse("pqt").notes == ()
    assert [note.split(" ")[1] for note in parse("pruned+cluster@16").notes] == ["zeros", "shared"]
    assert len(parse("pruned+cluster@16+float16").notes) == 3 and len(parse("simple+float16").notes) == 1


# ---- keys ----

SOURCE = {"dataset": {"kind": "glove"}, "seed": 0}


def test_keys_tell_apart_what_is_different_and_nothing_else():
    names = [*builders.EVERY_LINE, "simple+l1-filters@0.25", "simple+cluster@8"]
    keys = {name: chains.key(parse(name), SOURCE) for name in names}
    assert len(set(keys.values())) == len(keys)
    assert chains.key(parse("simple+pruned@0.5"), SOURCE) == keys["pruned"]
    assert chains.key(parse("simple"), {**SOURCE, "seed": 1}) != keys["simple"] != chains.key(parse("simple", 3), SOURCE)


def test_a_change_at_the_beginning_changes_all_that_follows():
    changed = {**BASES, "simple": dataclasses.replace(BASES["simple"], settings={"epochs": 81, "learning_rate": 0.001})}
    tables = builders.Tables(changed, STEPS)
    for name in ("simple", "pqt", "simple+l1-filters@0.5+pqt"):
        assert chains.key(chains.parse(name, tables), SOURCE) != chains.key(parse(name), SOURCE)
    assert chains.key(chains.parse("deep", tables), SOURCE) == chains.key(parse("deep"), SOURCE)


def test_builders_of_one_module_have_keys_of_their_own():
    """simple and deep stand in one module and have the same settings."""
    assert BASES["simple"].settings == BASES["deep"].settings
    assert chains.key(parse("simple"), SOURCE) != chains.key(parse("deep"), SOURCE)


def test_order_is_bases_then_chains():
    names = ["simple+qat", "pqt", "deep+cut@1", "simple", "pqt"]
    assert chains.in_order(names, BUILT_IN) == ["simple", "pqt", "deep+cut@1", "simple+qat"]
