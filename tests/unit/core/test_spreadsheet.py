from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.spreadsheet import FORMULA, csv_text


@pytest.mark.parametrize("start", FORMULA)
def test_no_cell_begins_like_a_formula(start):
    text = csv_text(["name"], [[f"{start}HYPERLINK(1)"]])
    cell = list(csv.reader(io.StringIO(text, newline="")))[1][0]
    assert cell == f"'{start}HYPERLINK(1)"


def test_a_carriage_return_ends_no_line():
    assert csv_text(["name"], [["\r=1+1"]]) == "name\n\\r=1+1\n"


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), min_size=2, max_size=2
        ),
        max_size=5,
    )
)
def test_every_text_comes_back(rows):
    text = csv_text(["a", "b"], rows)
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    expected = [[f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in rows]
    assert back == expected
    assert not any(cell.startswith(FORMULA) for row in back for cell in row)


def test_numbers_stay_numbers():
    assert csv_text(["a"], [[-0.5], [-3], [None], [1 / 3]]).splitlines() == [
        "a",
        "-0.5",
        "-3",
        '""',
        "0.333333",
    ]
