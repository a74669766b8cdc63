"""The sentences of a run."""

from pathlib import Path

from data.value_map import ValueMap
from data.value_type import UINT8
from options import DataOptions, RunOptions, TrainingOptions
from training import messages
from training.run_folder import RunFolder


def test_nothing_is_said_where_there_is_nothing_to_say(capsys):
    messages.say("one", "", "two")
    messages.say(messages.left_out({}), messages.held_out(None), messages.new_order({}, {}))
    assert capsys.readouterr().out.split("\n") == ["one", "two", ""]


def test_ten_bad_images_are_named_with_their_reasons_and_of_more_the_number():
    bad = {f"trainA/{i}.png": f"reason {i}" for i in range(11)}
    head, *lines = messages.left_out(bad).splitlines()
    assert head.startswith("11 bad images")
    assert lines == [*(f"  trainA/{i}.png: reason {i}" for i in range(10)), "  ..."]
    assert len(messages.left_out(dict(list(bad.items())[:10])).splitlines()) == 11


def test_other_images_than_before_are_said_by_role():
    before = {"A": "1", "B": "2"}
    assert messages.new_order(before, before) == messages.new_order({}, before) == ""
    (line,) = messages.new_order(before, {"A": "1", "B": "3"}).splitlines()
    assert line.startswith("B: the images are not those")


def test_another_device_than_before_is_said():
    cpu, gpu = {"device": "CPU in fp32"}, {"device": "H200 in bf16"}
    assert messages.new_device([gpu]) == messages.new_device([cpu, gpu, gpu]) == ""
    assert "goes on by CPU in fp32; before, it was H200" in messages.new_device([cpu, gpu, cpu])


def test_other_values_of_a_pretrained_run_are_said_by_role():
    eight, narrow = ValueMap(0.0, 255.0, UINT8), ValueMap(10.0, 90.0, UINT8)
    source = RunFolder(Path("runs/x"))
    known = {"A": eight, "B": eight}
    assert messages.other_values(source, known, {"A": eight}) == ""
    (line,) = messages.other_values(source, known, {"A": eight, "B": narrow}).splitlines()
    assert line == f"runs/x learnt other values of B: {eight}, now {narrow}"


def test_the_way_on_names_the_checkpoint_and_what_is_not_yet_done():
    stop, skip = TrainingOptions(on_nan="stop"), TrainingOptions(on_nan="skip")
    assert messages.way_on_from_nan(None, skip) == (
        "there is no checkpoint yet: start again with a lower --lr"
    )
    assert messages.way_on_from_nan(40, stop) == (
        "the checkpoint of step 40 is good: --continue_train with a lower --lr, or leave such "
        "steps out (--on_nan skip)"
    )


def test_what_comes_next_takes_the_classifier_that_was_trained(tmp_path):
    """One of chips teaches nobody, and judges chips alone."""
    folder, data = RunFolder(tmp_path / "run"), DataOptions(dataset_mode="labeled")
    weights = tmp_path / "run" / "latest_net_classifier.pth"
    of_frames = messages.finished(folder, RunOptions(name="run"), data)
    assert f"pix2pix_gradcam --classifier {weights} " in of_frames
    assert f"evaluate.py --classifier {weights} " in of_frames
    of_chips = messages.finished(folder, RunOptions(name="run"), data, chips=True)
    assert of_chips.endswith(f"next: python evaluate.py --chip_classifier {weights} ...")
