"""Data sets: what models learn from, read once, cleaned and split without losing a row."""

from agentos.syscall import syscall
from agentos.types import (
    Cleaned,
    CleaningStep,
    Context,
    DatasetAdded,
    DatasetCard,
    DatasetDeleted,
    DatasetList,
    Name,
    Splitted,
)


@syscall(
    effect="read",
    name="list",
    examples={
        "list my datasets": {},
        "what data do I have to train on?": {},
        "show all data sets": {},
        "which datasets are stored here": {},
        "datasets, please": {},
        "is there any data in the system yet": {},
        "give me an overview of the datasets": {},
        "列出所有数据集": {},
        "有哪些数据集？": {},
        "看看现在有什么数据可以用来训练": {},
        "数据集清单": {},
        "我添加过哪些数据": {},
        "系统里存了几份数据集": {},
        "数据集都在这里了吗，列一下": {},
    },
)
async def list_(ctx: Context) -> DatasetList:
    """The data sets there are: their rows, columns, sizes and where they come from."""
    return ctx.datasets.listing()


@syscall(
    effect="write",
    examples={
        "add the file /data/tickets.csv as a dataset": {"path": "/data/tickets.csv"},
        "import ./notes.jsonl": {"path": "./notes.jsonl"},
        "register /mnt/corpora/poems.txt under the name poems": {"path": "/mnt/corpora/poems.txt", "name": "poems"},
        "I have images sorted by folder in ~/pictures/birds, make a dataset of them": {"path": "~/pictures/birds"},
        "load the data in exports/orders.parquet and call it orders-may": {
            "path": "exports/orders.parquet", "name": "orders-may",
        },
        "take in recordings/commands, it's audio with a folder per word": {"path": "recordings/commands"},
        "new dataset faq from support/faq.tsv": {"path": "support/faq.tsv", "name": "faq"},
        "read my chats.json into the system": {"path": "chats.json"},
        "添加数据集 /data/弹幕.csv": {"path": "/data/弹幕.csv"},
        "把 news/2023.jsonl 导入进来": {"path": "news/2023.jsonl"},
        "导入 /home/li/诗词.txt，取名 poetry-zh": {"path": "/home/li/诗词.txt", "name": "poetry-zh"},
        "用 shots/defects 这个图片文件夹建一个数据集": {"path": "shots/defects"},
        "将 logs/qa.parquet 加为数据集，名字叫 qa-pairs": {"path": "logs/qa.parquet", "name": "qa-pairs"},
        "读取 ~/downloads/weibo.tsv 作为训练数据": {"path": "~/downloads/weibo.tsv"},
        "我有一批语音放在 /srv/voice/dialects，收进来": {"path": "/srv/voice/dialects"},
    },
)
async def add(ctx: Context, path: Name, name: Name | None = None) -> DatasetAdded:
    """Reads a file (CSV, TSV, JSON lines, Parquet, text) or a folder of images, audio or texts into a data set.

    Args:
        path: The file or folder; the folder that a file lies in is its label.
        name: What to call the data set; by default what the file is called.
    """
    return await ctx.datasets.add(path, name, ctx)


@syscall(
    effect="read",
    untrusted=True,
    examples={
        "show me the dataset tickets": {"dataset": "tickets"},
        "what does poems look like? give me 10 rows": {"dataset": "poems", "rows": 10},
        "describe orders-may": {"dataset": "orders-may"},
        "how balanced are the labels in faq": {"dataset": "faq"},
        "how long are the texts in wiki-small on average": {"dataset": "wiki-small"},
        "first 3 rows of movie-plots": {"dataset": "movie-plots", "rows": 3},
        "which columns has the data set churn2022": {"dataset": "churn2022"},
        "where did birds-clean come from": {"dataset": "birds-clean"},
        "看看数据集 弹幕": {"dataset": "弹幕"},
        "poetry-zh 里有多少行": {"dataset": "poetry-zh"},
        "显示 qa-pairs 的前20行": {"dataset": "qa-pairs", "rows": 20},
        "weibo 这份数据的标签分布怎么样？": {"dataset": "weibo"},
        "介绍一下数据集 dialects": {"dataset": "dialects"},
        "defects 有哪些列，文本多长": {"dataset": "defects"},
        "给我看 news-2023 的 8 条样例": {"dataset": "news-2023", "rows": 8},
    },
)
async def show(ctx: Context, dataset: Name, rows: int = 5) -> DatasetCard:
    """All that is known of one data set: rows, columns, lengths of texts, balance of labels, and its first rows.

    Args:
        dataset: Which data set.
        rows: How many rows to show.
    """
    return await ctx.datasets.card(dataset, rows)


@syscall(
    effect="write",
    examples={
        "clean the dataset tickets": {"dataset": "tickets"},
        "remove duplicates from poems": {"dataset": "poems", "steps": ["dedupe"]},
        "drop the empty rows of orders-may and dedupe it": {"dataset": "orders-may", "steps": ["drop_empty", "dedupe"]},
        "fix the broken characters in faq": {"dataset": "faq", "steps": ["fix_text"]},
        "take private data out of support-mails, save it as mails-safe": {
            "dataset": "support-mails", "steps": ["redact"], "output": "mails-safe",
        },
        "normalize wiki-small and call the result wiki-norm": {
            "dataset": "wiki-small", "steps": ["normalize"], "output": "wiki-norm",
        },
        "tidy up movie-plots": {"dataset": "movie-plots"},
        "make a cleaned copy of churn2022 named churn-tidy": {"dataset": "churn2022", "output": "churn-tidy"},
        "清洗数据集 弹幕": {"dataset": "弹幕"},
        "read the text off the receipts with ocr": {"dataset": "receipts", "steps": ["ocr"]},
        "find where people speak in podcasts": {"dataset": "podcasts", "steps": ["voice"]},
        "把 invoices 里的图片文字识别出来": {"dataset": "invoices", "steps": ["ocr"]},
        "给 poetry-zh 去重": {"dataset": "poetry-zh", "steps": ["dedupe"]},
        "把 qa-pairs 里的空行去掉": {"dataset": "qa-pairs", "steps": ["drop_empty"]},
        "weibo 里有隐私信息，脱敏一下": {"dataset": "weibo", "steps": ["redact"]},
        "修复 news-2023 的乱码": {"dataset": "news-2023", "steps": ["fix_text"]},
        "清理一下 danmaku，结果叫 danmaku-v2": {"dataset": "danmaku", "output": "danmaku-v2"},
        "先规范化再去重 lyrics": {"dataset": "lyrics", "steps": ["normalize", "dedupe"]},
    },
)
async def clean(
    ctx: Context, dataset: Name, steps: list[CleaningStep] | None = None, output: Name | None = None
) -> Cleaned:
    """Makes a cleaned copy of a data set and says what each step did; the original stays as it is.

    Args:
        dataset: Which data set, or a file.
        steps: What to do: drop copies and near copies (dedupe), drop what is empty (drop_empty), mend broken
            characters (fix_text), make spaces and forms alike (normalize), take out private data (redact); of
            pictures their pixels (pixels) and the text in them (ocr), of sounds their features (features) and where
            speech is (voice).
        output: What to call the cleaned one; by default the name with `-clean`.
    """
    return await ctx.datasets.clean(dataset, steps or (), output, ctx)


@syscall(
    effect="write",
    examples={
        "split tickets": {"dataset": "tickets"},
        "split poems into 90% train and 10% test": {"dataset": "poems", "train": 0.9},
        "divide faq into training and test data": {"dataset": "faq"},
        "make a 70/30 split of wiki-small": {"dataset": "wiki-small", "train": 0.7},
        "split movie-plots in half": {"dataset": "movie-plots", "train": 0.5},
        "split churn2022 with seed 7": {"dataset": "churn2022", "seed": 7},
        "I need a test set out of birds-clean": {"dataset": "birds-clean"},
        "拆分数据集 弹幕": {"dataset": "弹幕"},
        "把 poetry-zh 按九比一分成训练集和测试集": {"dataset": "poetry-zh", "train": 0.9},
        "划分 qa-pairs，75% 用来训练": {"dataset": "qa-pairs", "train": 0.75},
        "给 weibo 切出测试集": {"dataset": "weibo"},
        "news-2023 七三开": {"dataset": "news-2023", "train": 0.7},
        "defects 留两成做测试": {"dataset": "defects", "train": 0.8},
        "用随机种子 42 划分 lyrics": {"dataset": "lyrics", "seed": 42},
    },
)
async def split(ctx: Context, dataset: Name, train: float = 0.8, seed: int = 0) -> Splitted:
    """Parts a data set into one to train on and one to test on: labels in equal shares, no copy in both.

    Args:
        dataset: Which data set, or a file.
        train: The fraction of the rows to train on.
        seed: The same seed gives the same parts.
    """
    return await ctx.datasets.split(dataset, train, seed, ctx)


@syscall(
    effect="destroy",
    examples={
        "delete the dataset tickets": {"dataset": "tickets"},
        "remove poems from my data sets": {"dataset": "poems"},
        "I no longer need the data set orders-may": {"dataset": "orders-may"},
        "get rid of the faq data": {"dataset": "faq"},
        "drop dataset wiki-small": {"dataset": "wiki-small"},
        "throw the movie-plots dataset away": {"dataset": "movie-plots"},
        "erase the data set churn2022": {"dataset": "churn2022"},
        "删除数据集 弹幕": {"dataset": "弹幕"},
        "把数据集 poetry-zh 删掉": {"dataset": "poetry-zh"},
        "qa-pairs 这份数据不要了": {"dataset": "qa-pairs"},
        "移除 weibo 数据集": {"dataset": "weibo"},
        "清除 news-2023 这个数据集": {"dataset": "news-2023"},
        "defects 的数据可以丢掉了": {"dataset": "defects"},
        "请删除 dialects 数据": {"dataset": "dialects"},
    },
)
async def delete(ctx: Context, dataset: Name) -> DatasetDeleted:
    """Deletes a data set; it can be brought back for a day, and what was made of it stays.

    Args:
        dataset: Which data set.
    """
    return await ctx.datasets.delete(dataset, ctx.call, ctx.caller.user)
