"""Real parts for the model store: a loopback server that misbehaves on request, and a tiny real model."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gguf
import numpy
import pytest

from agentos.config import Settings
from agentos.models.catalog import Entry, File, Local
from agentos.models.pull import Puller
from agentos.models.shelf import Shelf


class Server:
    """Serves bytes by path, with Range, and breaks, lies or forgets as told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.break_after: list[int] = []
        self.ranges = True
        self.etag = '"one"'
        self.fail: dict[str, int] = {}
        self.fail_once_broken: dict[str, int] = {}
        self.hold = threading.Event()
        self.hold.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                server.answer(self, head=True)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler, head: bool = False) -> None:
        path = request.path.split("?")[0]
        said = request.headers.get("Range")
        if not head:
            self.asked.append((path, said))
        body = self.files.get(path)
        if path in self.fail or body is None:
            request.send_error(self.fail.get(path, 404))
            return
        start, code, stop = 0, 200, len(body)
        matches = request.headers.get("If-Range", self.etag) == self.etag
        if said and self.ranges and matches:
            low, _, high = said.removeprefix("bytes=").partition("-")
            start, code = (int(low), 206) if low else (len(body) - int(high), 206)
            stop = int(high) + 1 if low and high else len(body)
            if start >= len(body):
                request.send_error(416)
                return
        request.send_response(code)
        request.send_header("Content-Length", str(stop - start))
        request.send_header("Content-Type", self.types.get(path, "application/octet-stream"))
        request.send_header("ETag", self.etag)
        if self.ranges:
            request.send_header("Accept-Ranges", "bytes")
        if code == 206:
            request.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        request.end_headers()
        if head:
            return
        cut = len(body)
        if self.break_after:
            cut = self.break_after.pop(0)
            self.fail.update(self.fail_once_broken)
        request.wfile.write(body[start : min(stop, start + cut)])
        self.hold.wait(10)

    def close(self) -> None:
        self.hold.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "home" / "cache", threads=1)


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float | None, float | None, str]] = []
        self.then: Callable[[], None] = lambda: None

    async def __call__(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        self.lines.append((message, done, total, unit))
        self.then()

    @property
    def text(self) -> str:
        return "\n".join(line[0] for line in self.lines)


@pytest.fixture
def told() -> Told:
    return Told()


def write_gguf(path: Path, *, twin_head: bool = True, head: str = "q8") -> None:
    """A two-layer qwen2 with 32 tokens: real tensors, in more than one type, and a second rounding of its head."""
    wide, deep, tokens, layers = 64, 128, 288, 2
    draw = numpy.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(wide)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(deep)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(tokens)
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(a + b for a in "abcd" for b in "abcd"), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words += [f"<|pad{n}|>" for n in range(tokens - len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([1 if not word.startswith("<|") else 3 for word in words])
    writer.add_token_merges([f"{a} {b}" for a in "abcd" for b in "abcd"])
    writer.add_eos_token_id(words.index("<|im_end|>"))
    writer.add_pad_token_id(words.index("<|endoftext|>"))
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")

    def put(name: str, *shape: int, scale: float = 0.05, kind: gguf.GGMLQuantizationType | None = None) -> None:
        values = draw.normal(0, scale, shape).astype(numpy.float32)
        add(name, values, kind)

    def add(name: str, values: numpy.ndarray, kind: gguf.GGMLQuantizationType | None) -> None:
        if kind is None:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    q4, q8 = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q8_0
    table = draw.normal(0, 0.05, (tokens, wide)).astype(numpy.float32)
    add("token_embd.weight", table, q4)
    add("output.weight", table if twin_head else draw.normal(0, 0.05, (tokens, wide)).astype(numpy.float32), q8)
    put("output_norm.weight", wide)
    for layer in range(layers):
        for name, *shape in (
            ("attn_norm.weight", wide), ("ffn_norm.weight", wide),
            ("attn_q.bias", wide), ("attn_k.bias", wide // 2), ("attn_v.bias", wide // 2),
        ):
            put(f"blk.{layer}.{name}", *shape)
        for name, *shape in (
            ("attn_q.weight", wide, wide), ("attn_k.weight", wide // 2, wide), ("attn_v.weight", wide // 2, wide),
            ("attn_output.weight", wide, wide), ("ffn_gate.weight", deep, wide), ("ffn_up.weight", deep, wide),
            ("ffn_down.weight", wide, deep),
        ):
            put(f"blk.{layer}.{name}", *shape, kind=q8)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_gguf(path)
    return path


@pytest.fixture(scope="session")
def tiny_sha(tiny_gguf: Path) -> str:
    return hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def tiny_stored(tiny_gguf: Path, tiny_sha: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the converted model, as the store keeps it; converted once for all tests."""
    home = tmp_path_factory.mktemp("converted")
    settings = Settings(home=home, cache=home / "cache", threads=1)
    entry = Entry(
        "tiny", "a tiny one", "MIT", "causal", 100_000, 128, "gguf",
        (File("model.gguf", tiny_gguf.stat().st_size, tiny_sha),), (Local(tiny_gguf),),
    )
    pulled = asyncio.run(Puller(settings, Shelf(settings.models)).pull(entry, Told()))
    return Path(pulled.path)
