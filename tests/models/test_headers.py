"""Hostile and broken files, one of each kind, against the readers that see them first."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.models import child
from agentos.models.header_gguf import read_gguf
from agentos.models.header_safetensors import read_safetensors


def text(said: str) -> bytes:
    raw = said.encode()
    return struct.pack("<Q", len(raw)) + raw


ARCH = text("general.architecture") + struct.pack("<I", 8) + text("qwen2")


def tensor(name: str = "t", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def gguf(
    values: bytes = ARCH, *, count: int = 1, tensors: bytes | None = None, number: int = 1, data: int = 128,
    version: int = 3, magic: bytes = b"GGUF",
) -> bytes:
    head = magic + struct.pack("<IQQ", version, number, count) + values + (tensor() if tensors is None else tensors)
    return head + b"\0" * (-len(head) % 32) + b"\1" * data


HUGE = 1 << 62
GGUF = {
    "empty": b"",
    "another magic": gguf(magic=b"GGML"),
    "version 1": gguf(version=1),
    "big endian": gguf(version=3 << 24),
    "cut in its header": gguf()[:40],
    "cut in its data": gguf(data=100),
    "more tensors than bytes": gguf(number=HUGE),
    "more values than bytes": gguf(count=HUGE),
    "no tensors": gguf(number=0, tensors=b""),
    "no architecture": gguf(values=b"", count=0),
    "architecture is a number": gguf(values=text("general.architecture") + struct.pack("<IB", 0, 1)),
    "a text longer than the file": gguf(values=struct.pack("<Q", HUGE) + b"x"),
    "a text that is not UTF-8": gguf(values=struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 0, 1)),
    "an array longer than the file": gguf(values=ARCH + text("a") + struct.pack("<IIQ", 9, 4, HUGE), count=2),
    "an array of arrays": gguf(values=ARCH + text("a") + struct.pack("<IIQ", 9, 9, 1), count=2),
    "an array of an unknown type": gguf(values=ARCH + text("a") + struct.pack("<IIQ", 9, 77, 1), count=2),
    "a value of an unknown type": gguf(values=ARCH + text("a") + struct.pack("<I", 77), count=2),
    "a value twice": gguf(values=ARCH + ARCH, count=2),
    "an odd alignment": gguf(values=ARCH + text("general.alignment") + struct.pack("<II", 4, 33), count=2),
    "alignment zero": gguf(values=ARCH + text("general.alignment") + struct.pack("<II", 4, 0), count=2),
    "one part of a split": gguf(values=ARCH + text("split.count") + struct.pack("<IH", 2, 3), count=2),
    "five dimensions": gguf(tensors=tensor(shape=(1, 1, 1, 1, 1))),
    "no dimensions": gguf(tensors=tensor(shape=())),
    "a dimension of zero": gguf(tensors=tensor(shape=(0,))),
    "a product that overflows": gguf(tensors=tensor(shape=(1 << 33, 1 << 33))),
    "half a block": gguf(tensors=tensor(shape=(33,), kind=8)),
    "an unknown tensor type": gguf(tensors=tensor(kind=99)),
    "a tensor beyond the end": gguf(tensors=tensor(offset=1 << 40)),
    "an askew tensor": gguf(tensors=tensor(offset=3), data=512),
    "tensors over each other": gguf(tensors=tensor("a") + tensor("b"), number=2),
    "tensors of one name": gguf(tensors=tensor("a") + tensor("a", offset=128), number=2, data=512),
    "an offset that wraps": gguf(tensors=tensor(offset=(1 << 64) - 32)),
}


@pytest.mark.parametrize("kind", GGUF)
def test_a_hostile_gguf_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF[kind])
    with pytest.raises(Failed):
        read_gguf(path)


def test_the_sound_one_they_are_made_from_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf())
    header = read_gguf(path)
    assert header.architecture == "qwen2" and header.parameters == 32


def test_any_truncation_of_a_real_gguf_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    whole, path = tiny_gguf.read_bytes(), tmp_path / "cut.gguf"
    for length in [*range(0, 200, 7), *range(200, len(whole), 4999), len(whole) - 33]:
        path.write_bytes(whole[:length])
        with pytest.raises(Failed):
            read_gguf(path)


def test_a_flipped_byte_in_the_header_never_does_more_than_be_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    whole, path = bytearray(tiny_gguf.read_bytes()), tmp_path / "bent.gguf"
    for at in range(4, 6000, 61):
        bent = whole.copy()
        bent[at] ^= 0xFF
        path.write_bytes(bent)
        try:
            read_gguf(path)
        except Failed:
            continue


def safe(header: object, data: int = 8, raw: bytes | None = None, length: int | None = None) -> bytes:
    said = json.dumps(header).encode() if raw is None else raw
    return struct.pack("<Q", len(said) if length is None else length) + said + b"\1" * data


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
SAFE = {
    "empty": b"",
    "a header longer than the file": safe({"a": ONE}, length=1 << 60),
    "a header of nothing": safe({}, raw=b""),
    "not JSON": safe(None, raw=b"{nonsense"),
    "a list": safe([1]),
    "nested too deep": safe(None, raw=b'{"a":' * 100_000),
    "no tensors": safe({"__metadata__": {}}),
    "truncated data": safe({"a": ONE}, data=7),
    "padded data": safe({"a": ONE}, data=9),
    "a gap": safe({"a": ONE, "b": {**ONE, "data_offsets": [9, 17]}}, data=17),
    "an overlap": safe({"a": ONE, "b": {**ONE, "data_offsets": [4, 12]}}, data=12),
    "an unknown dtype": safe({"a": {**ONE, "dtype": "F31"}}),
    "a dtype that is a list": safe({"a": {**ONE, "dtype": []}}),
    "a shape that is a text": safe({"a": {**ONE, "shape": "22"}}),
    "a negative shape": safe({"a": {**ONE, "shape": [-2]}}),
    "a shape of truth": safe({"a": {**ONE, "shape": [True, 2]}}),
    "a shape that is not its size": safe({"a": {**ONE, "shape": [3]}}),
    "offsets backwards": safe({"a": {**ONE, "data_offsets": [8, 0]}}),
    "one offset": safe({"a": {**ONE, "data_offsets": [8]}}),
    "an extra field": safe({"a": {**ONE, "code": "x"}}),
    "a name twice": safe(None, raw=b'{"a":%s,"a":%s}' % ((json.dumps(ONE).encode(),) * 2)),
    "a tensor that is a number": safe({"a": 7}),
    "huge numbers": safe({"a": {**ONE, "shape": [1 << 70], "data_offsets": [0, 1 << 72]}}),
}


@pytest.mark.parametrize("kind", SAFE)
def test_a_hostile_safetensors_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFE[kind])
    with pytest.raises(Failed):
        read_safetensors(path)


def test_a_sound_safetensors_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safe({"a": ONE}))
    assert read_safetensors(path).parameters == 2


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("exploded", "w")


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    return path.read_bytes()


@pytest.mark.parametrize("name", [
    "pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "model.ckpt", "model.h5", "model.gguf",
    "model.safetensors", "weights",
])
@pytest.mark.parametrize("form", ["pickle", "zip"])
async def test_a_pickle_is_refused_under_any_name_and_never_read(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Bomb()) if form == "pickle" else zipped(tmp_path / "z"))
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(Failed, match="pickle|neither a .safetensors"):
        await child.inspect(folder)
    with pytest.raises(Failed, match="pickle"):
        await child.inspect(folder / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(("config", "said"), [
    ("{}", "model_type"), ("[]", "JSON object"), ("{", "not JSON"), (None, "config.json is missing"),
    ('{"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}', "never done"),
])
async def test_a_folder_whose_config_is_no_model_is_refused(config: str | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safe({"a": ONE}))
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(Failed, match=said):
        await child.inspect(tmp_path)


@pytest.mark.parametrize("index", [
    {"weight_map": {"a": "../../etc/passwd"}}, {"weight_map": {"a": "/x.safetensors"}}, {"weight_map": {"a": 3}}, {},
    {"weight_map": {"a": "gone.safetensors"}},
])
async def test_an_index_that_names_other_files_is_refused(index: object, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safe({"a": ONE}))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(Failed, match="cannot be|missing"):
        await child.inspect(tmp_path)
