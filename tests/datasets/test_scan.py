"""The scan as users run it: what it lists, what it writes, how it exits."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.images import write_image
from datasets.scan import main
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        image = np.random.default_rng(i).integers(0, 256, (8, 9), dtype=np.uint8)
        write_image(tmp_path / "trainA" / f"{i}.png", image)
    return tmp_path / "trainA"


def test_a_clean_folder_is_said_to_be_and_an_old_table_goes(folder, tmp_path, capsys):
    out = tmp_path / "bad.csv"
    out.write_text("old")
    main(["--images", str(folder), "--out", str(out)])
    assert capsys.readouterr().out == "4 images: no fault\n"
    assert out.read_text() == "file,fault,reason\n"


def test_faults_are_printed_and_written_and_the_code_is_1(folder, tmp_path, capsys):
    odd = folder / 'a, "b"\n.png'
    odd.write_bytes(b"")
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(SystemExit) as left:
        main(["--images", str(folder), "--out", str(tmp_path / "bad.csv")])
    assert left.value.code == 1
    printed = capsys.readouterr().out
    assert "empty:" in printed and "unreadable:" in printed
    assert printed.endswith("6 images: 2 with faults (1 empty, 1 unreadable)\n")
    with (tmp_path / "bad.csv").open(newline="") as file:
        rows = {row["file"]: row["fault"] for row in csv.DictReader(file)}
    assert rows == {str(odd): "empty", str(folder / "pipe.png"): "unreadable"}


def test_a_table_that_cannot_be_written_is_told_before_the_search(folder, tmp_path):
    with pytest.raises(UserError, match=r"cannot write \S+, which is a folder"):
        main(["--images", str(folder), "--out", str(tmp_path)])


def test_each_folder_is_a_set_of_its_own(folder, tmp_path, capsys):
    for i in range(2):
        image = np.random.default_rng(i).integers(0, 4096, (20, 30)).astype(np.uint16)
        write_image(tmp_path / "trainB" / f"{i}.png", image)
    both = ["--images", str(folder), str(tmp_path / "trainB")]
    main(both)
    assert "6 images: no fault" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*both, "--size", "9x8", "--bits", "8"])
    assert "2 wrong size, 2 wrong depth" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["9", "9x", "0x8", "-9x8", "axb", "9x8x3"])
def test_what_is_no_size_is_named(folder, size):
    with pytest.raises(UserError, match="--size"):
        main(["--images", str(folder), f"--size={size}"])


def test_a_folder_that_cannot_be_searched_ends_with_2(tmp_path):
    script = [sys.executable, str(ROOT / "datasets" / "scan.py"), "--images", str(tmp_path / "no")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no folder") and done.stderr.count("\n") == 1


def test_files_of_other_kinds_are_counted_and_no_fault(folder, capsys):
    for i in range(30):
        (folder / f"g{i}.fff").touch()
    (folder / "@eaDir").mkdir()
    (folder / "@eaDir" / "0.png").touch()
    main(["--images", str(folder)])
    told = f"{folder}: 30 files of other kinds are not read (.fff)\n4 images: no fault\n"
    assert capsys.readouterr().out == told
