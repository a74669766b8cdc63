"""Records of evaluations that tests fill with numbers of their own."""

from metrics.record import Protocol, Record, RowRecord


def make_row(name: str, n: int, **cells) -> RowRecord:
    """cells: group -> metric -> cell."""
    return RowRecord(
        name,
        n=n,
        cells=cells,
        real=None,
        unpaired_real_B=None,
        pairing="pairing unknown",
        bits={"real_A": 8, "fake_B": 16, "real_B": 16},
        folders=[name],
        files_sha256="0" * 64,
        targets_sha256=None,
        teachers=[],
        judge_is_teacher=None,
        value_range=(0.0, 255.0),
        cam_value_range=None,
    )


def make_record(rows, *, reference=None, notes=(), warnings=()) -> Record:
    protocol = Protocol(
        luma=False,
        classifier="judge.pth",
        classifier_balanced_accuracy=None,
        classifier_above_chance=None,
        chip_classifier=None,
        chip_classifier_balanced_accuracy=None,
        chip_classifier_above_chance=None,
        classes=["T72", "BMP2"],
        cam_layer="layer4",
        feature_layer="layer4",
        labels_sha256={},
        match_range=None,
        interval="95 %",
        weights_digest={},
        versions={"torch": "2.11", "lpips": None},
    )
    return Record(rows, reference, protocol, notes, warnings=warnings)
