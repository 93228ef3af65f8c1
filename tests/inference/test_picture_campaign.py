"""Two hundred pictures of every kind: none is lost, changed or wrongly described."""

from tests.picture_campaign import FORMATS, campaign, cases


def test_two_hundred_pictures_come_back_as_they_were():
    table = campaign()
    assert table[table.wrong != ""].to_dict("records") == []
    assert len(table) == 200 and (table.pixel_match == "equal").sum() > 80
    variants = {(c.format, c.mode, c.bits, c.compression) for c in cases()}
    assert len(variants) == sum(map(len, FORMATS.values()))  # every one at least once
    assert set(table.output) == set(FORMATS) and set(table.orientation) == set(range(1, 9))
