"""Which metadata of a landed blob stand in its event, and how many."""

import json

import pytest

from scoring.events.correlation import LONGEST, correlation


@pytest.mark.parametrize("prefix", ["landfall_", "LandFall_"])
def test_names_are_compared_without_regard_to_case_and_stay_as_they_are(prefix: str) -> None:
    metadata = {"Landfall_Order": "4711", "landfall_x": "", "owner": "ward-3", "a_landfall_b": "1"}
    text, left_out = correlation(metadata, prefix)
    assert json.loads(text) == {"Landfall_Order": "4711", "landfall_x": ""}
    assert left_out == []


def test_without_any_there_is_nothing_to_keep() -> None:
    assert correlation({"owner": "ward-3"}, "landfall_") == ("", [])


def test_a_pair_that_has_no_room_is_left_out_whole_and_named() -> None:
    """The value of `landfall_B` just fits, and what follows it does not."""
    room = LONGEST - len('{"landfall_a": "1", "landfall_B": ""}')
    fits = {"landfall_a": "1", "landfall_B": "x" * room}
    assert correlation(fits, "landfall_") == (json.dumps(fits), [])
    more = {"landfall_C": "", **fits}
    assert correlation(more, "landfall_") == (json.dumps(fits), ["landfall_C"])
    longer = {"landfall_C": "3", **fits, "landfall_B": "x" * (room + 1)}
    text, left_out = correlation(longer, "landfall_")
    assert json.loads(text) == {"landfall_a": "1", "landfall_C": "3"}
    assert left_out == ["landfall_B"]


def test_any_character_can_be_kept_as_metadata_of_the_ledger() -> None:
    text, _ = correlation({"landfall_a": 'ü😀"\n', "landfall_b": "\udcfc"}, "landfall_")
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {"landfall_a": 'ü😀"\n', "landfall_b": "?"}
