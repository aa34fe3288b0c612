"""Models that are made here: from nothing, from another one, measured, compared."""

from agentos.syscall import syscall
from agentos.types import (
    Context,
    Evaluated,
    FinetuneRequest,
    Method,
    Name,
    Objective,
    PretrainRequest,
    RunList,
    Scale,
    SearchRequest,
    Task,
    Trained,
)


@syscall(
    effect="execute",
    examples={
        "pretrain a model on wiki-en": {"dataset": "wiki-en"},
        "train a language model from scratch on corpus.txt": {"dataset": "corpus.txt", "objective": "causal-lm"},
        "make a tiny encoder out of the tickets dataset, 3 epochs": {"dataset": "tickets", "epochs": 3, "size": "tiny"},
        "pretrain from nothing on /data/news.jsonl with masked-lm and call it news-bert": {
            "dataset": "/data/news.jsonl", "objective": "masked-lm", "output": "news-bert",
        },
        "I want an autoencoder that repairs corrupted text, learned from logs-2025": {
            "dataset": "logs-2025", "objective": "denoising",
        },
        "在 wiki-zh 上从零预训练一个模型": {"dataset": "wiki-zh"},
        "用 corpus.txt 预训练一个因果语言模型，跑2轮": {
            "dataset": "corpus.txt", "objective": "causal-lm", "epochs": 2,
        },
        "拿 novels 做去噪预训练，叫 novel-ae": {"dataset": "novels", "objective": "denoising", "output": "novel-ae"},
        "从头训练一个 small 的编码器，数据是 forum-posts": {"dataset": "forum-posts", "size": "small"},
    },
)
async def pretrain(
    ctx: Context,
    dataset: Name,
    objective: Objective = "masked-lm",
    output: Name | None = None,
    epochs: int = 1,
    size: Scale = "mini",
    seed: int = 0,
    background: bool = False,
) -> Trained:
    """Makes a model from nothing on a data set's text, its tokenizer included, and tells how it does.

    Args:
        dataset: What it reads: a data set, or a file.
        objective: What it learns: hidden words (masked-lm), the next word (causal-lm), to restore corrupted text.
        output: The name of the model; by objective and data by default.
        epochs: How often it reads everything.
        size: How large it is.
        seed: The same seed gives the same model.
        background: Whether to return once the job is queued.
    """
    return await ctx.training.pretrain(PretrainRequest(dataset, objective, output, epochs, size, seed, background), ctx)


@syscall(
    effect="execute",
    examples={
        "fine-tune bert-base on reviews": {"model": "bert-base", "dataset": "reviews"},
        "finetune gemma-2b on chats.jsonl with lora for 5 epochs": {
            "model": "gemma-2b", "dataset": "chats.jsonl", "method": "lora", "epochs": 5,
        },
        "train distilbert on /data/spam.csv for text-classification": {
            "model": "distilbert", "dataset": "/data/spam.csv", "task": "text-classification",
        },
        "full fine-tuning of roberta-small with tickets, learning rate 2e-5": {
            "model": "roberta-small", "dataset": "tickets", "method": "full", "learning_rate": 2e-5,
        },
        "adapt phi-3-mini to faq-pairs by prefix tuning and call it faq-phi": {
            "model": "phi-3-mini", "dataset": "faq-pairs", "method": "prefix", "output": "faq-phi",
        },
        "put bottleneck adapters into bert-mini, data: intents": {
            "model": "bert-mini", "dataset": "intents", "method": "adapter",
        },
        "adalora on llama-3-8b with support-dialogs, in the background": {
            "model": "llama-3-8b", "dataset": "support-dialogs", "method": "adalora", "background": True,
        },
        "fine tune distilbert with complaints.tsv and let me know how well it does": {
            "model": "distilbert", "dataset": "complaints.tsv",
        },
        "teach tinyllama our style with posts.txt": {
            "model": "tinyllama", "dataset": "posts.txt",
        },
        "用 reviews 微调 bert-base-chinese": {"model": "bert-base-chinese", "dataset": "reviews"},
        "拿 comments.csv 微调 macbert，跑4轮": {"model": "macbert", "dataset": "comments.csv", "epochs": 4},
        "用 full 方式在 tickets 上微调 roberta-zh": {
            "model": "roberta-zh", "dataset": "tickets", "method": "full",
        },
        "chatglm-6b 用 qa-pairs 做 lora 微调，学习率 1e-4，输出叫 glm-qa": {
            "model": "chatglm-6b", "dataset": "qa-pairs", "method": "lora", "learning_rate": 1e-4, "output": "glm-qa",
        },
        "后台微调 yi-6b，数据集 dialogs": {"model": "yi-6b", "dataset": "dialogs", "background": True},
        "用 /data/投诉.csv 训练 ernie-mini 做 text-classification": {
            "model": "ernie-mini", "dataset": "/data/投诉.csv", "task": "text-classification",
        },
    },
)
async def finetune(
    ctx: Context,
    model: Name,
    dataset: Name,
    task: Task = "auto",
    method: Method = "lora",
    epochs: int = 3,
    learning_rate: float | None = None,
    output: Name | None = None,
    rank: int = 16,
    rows: int = 32,
    length: int = 0,
    seed: int = 0,
    balanced: bool = False,
    patience: int = 4,
    processes: int = 1,
    background: bool = False,
) -> Trained:
    """Makes a stored model better at what a data set shows, tells how it does, and measures it on held-out rows.

    Args:
        model: Which model it begins with; it stays as it is.
        dataset: What it learns from: a data set, or a file.
        task: Whether it learns labels or to write; by the data's columns by default.
        method: What of the model changes: everything (full), or a small part (lora, adalora, prefix, adapter).
        epochs: How often it reads everything, at most.
        learning_rate: How large its steps are; by method by default.
        output: The name of the new model; by base and data by default.
        rank: How large the small part is.
        rows: Rows that one update is made of.
        length: Tokens of a row that it reads at most; as the model allows by default.
        seed: The same seed gives the same model.
        balanced: Whether rare labels weigh more.
        patience: Measurements without a better one after which it stops; 0 for never.
        processes: Processes, each with a GPU of its own where there are GPUs, that share the work.
        background: Whether to return once the job is queued.
    """
    request = FinetuneRequest(
        model, dataset, task, method, epochs, learning_rate, output, rank, rows, length, seed, balanced, patience,
        processes, background,
    )
    return await ctx.training.finetune(request, ctx)


@syscall(
    effect="execute",
    examples={
        "evaluate sentiment-en on reviews-test": {"model": "sentiment-en", "dataset": "reviews-test"},
        "how good is intent-net on intents-test?": {"model": "intent-net", "dataset": "intents-test"},
        "what accuracy does spam-bert reach on /data/spam-held.csv": {
            "model": "spam-bert", "dataset": "/data/spam-held.csv",
        },
        "perplexity of tinyllama on wiki-test": {"model": "tinyllama", "dataset": "wiki-test"},
        "test the model topic-zh with news-dev": {"model": "topic-zh", "dataset": "news-dev"},
        "评估一下 macbert-topic 在 news-test 上的效果": {"model": "macbert-topic", "dataset": "news-test"},
        "glm-qa 在 qa-test 上的困惑度是多少": {"model": "glm-qa", "dataset": "qa-test"},
        "用 comments-test 测试 sentiment-zh 的准确率": {"model": "sentiment-zh", "dataset": "comments-test"},
        "看看 fraud-net 在 /data/tx.csv 上表现怎么样": {"model": "fraud-net", "dataset": "/data/tx.csv"},
    },
)
async def evaluate(ctx: Context, model: Name, dataset: Name) -> Evaluated:
    """How good a model is on a data set: accuracy, F1, confusion, calibration, or perplexity; and against others.

    Args:
        model: Which model.
        dataset: A data set, or a file; of one that it was trained on, only the rows that were held out are asked.
    """
    return await ctx.training.evaluate(model, dataset, ctx)


@syscall(
    effect="execute",
    examples={
        "search for the best way to train bert-mini on tickets": {"model": "bert-mini", "dataset": "tickets"},
        "tune hyperparameters of distilbert on /data/spam.csv with 40 trials": {
            "model": "distilbert", "dataset": "/data/spam.csv", "trials": 40,
        },
        "automl: gemma-2b on faq-pairs, 8 trials": {"model": "gemma-2b", "dataset": "faq-pairs", "trials": 8},
        "try out 12 settings of roberta-small with intents and keep the best as intent-net": {
            "model": "roberta-small", "dataset": "intents", "trials": 12, "output": "intent-net",
        },
        "hyperparameter search for topic-en on news in the background": {
            "model": "topic-en", "dataset": "news", "background": True,
        },
        "给 bert-base-chinese 在 comments 上搜索最好的超参数": {"model": "bert-base-chinese", "dataset": "comments"},
        "用 tickets 对 macbert 做30次自动调参": {"model": "macbert", "dataset": "tickets", "trials": 30},
        "自动调参：ernie-mini，数据 /data/投诉.csv": {"model": "ernie-mini", "dataset": "/data/投诉.csv"},
        "在 dialogs 上给 yi-6b 找最优的训练设置，试10组，结果叫 yi-best": {
            "model": "yi-6b", "dataset": "dialogs", "trials": 10, "output": "yi-best",
        },
    },
)
async def search(
    ctx: Context,
    model: Name,
    dataset: Name,
    trials: int = 20,
    output: Name | None = None,
    epochs: int = 3,
    seed: int = 0,
    background: bool = False,
) -> Trained:
    """Tries out methods, ranks, rates and batches, trains with the best of them, and measures it on unseen rows.

    Args:
        model: Which model all trials begin with; it stays as it is.
        dataset: What they learn from: a data set, or a file.
        trials: How many settings are tried.
        output: The name of the new model; by base and data by default.
        epochs: How often each trial reads everything, at most.
        seed: The same seed holds the same rows out.
        background: Whether to return once the search is queued.
    """
    return await ctx.training.search(SearchRequest(model, dataset, trials, output, epochs, seed, background), ctx)


@syscall(
    effect="read",
    examples={
        "list the training runs": {},
        "show me all runs": {},
        "what has been trained so far?": {},
        "runs of sentiment-en": {"model": "sentiment-en"},
        "training history of bert-mini": {"model": "bert-mini"},
        "how did the runs with gemma-2b go": {"model": "gemma-2b"},
        "列出所有训练记录": {},
        "都训练过哪些模型": {},
        "macbert-topic 的训练记录": {"model": "macbert-topic"},
        "看看 glm-qa 跑过哪些实验": {"model": "glm-qa"},
    },
)
async def runs(ctx: Context, model: Name | None = None) -> RunList:
    """The runs that made models or measured them, newest first, with their figures.

    Args:
        model: Only runs that made it, began with it or measured it.
    """
    return ctx.training.runs(model)


@syscall(
    effect="execute",
    examples={
        "repeat run t12": {"run": "t12"},
        "run t3 again from its manifest": {"run": "t3"},
        "reproduce the training run t7": {"run": "t7"},
        "重跑训练 t5": {"run": "t5"},
        "把 t18 这次训练原样再做一遍": {"run": "t18"},
    },
)
async def again(ctx: Context, run: Name) -> Trained:
    """Makes a training run once more: same data, base, seed and settings, as its manifest has them.

    Args:
        run: Which run.
    """
    return await ctx.training.again(run, ctx)
