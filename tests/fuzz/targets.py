"""Every parser of data from outside: job files, results, documents, configuration, logs, answers, arguments."""

from pipeline.catalog import CONFIG
from tests.fuzz import parsers, seeds, tokens
from tests.fuzz.property import Target


def targets() -> dict[str, Target]:
    """All of them, by name."""
    own = b"mine.jsonl" + parsers.CUT + seeds.DATASETS[0]
    return {
        target.name: target
        for target in (
            Target("job file", parsers.job_input, seeds.JOBS, "job.json", tokens.JSON),
            Target("job run", parsers.run_job, seeds.JOBS, "job", tokens.JSON),
            Target("result.json", parsers.result_input, seeds.RESULTS, "result.json", tokens.JSON),
            Target("documents.jsonl", parsers.document_results, seeds.DOCUMENT_RESULTS, "documents.jsonl", tokens.JSON),
            Target(
                "documents to resume", parsers.resume_input, (parsers.resume_seed(),), "documents.jsonl", tokens.JSON
            ),
            Target("dataset", parsers.dataset_input, seeds.DATASETS, seeds.DATASET_FILE, tokens.JSON),
            Target(
                "own dataset",
                parsers.own_dataset,
                (
                    own,
                    own + parsers.CUT + seeds.PREPARED_MANIFEST,
                    b"sample" + parsers.CUT,
                    b"../outside.jsonl" + parsers.CUT,
                    b"mine" + parsers.CUT,
                ),
                None,
                (*tokens.JSON, *tokens.PATHS, parsers.CUT),
            ),
            Target(
                "CSV",
                parsers.own_table("mine.csv"),
                (b'id,document,summary\r\na,"Tie, ""it"".",Tie.\r\n\r\nb,Pull.,"Pull\nit."\r\n',),
                "mine.csv",
                (b'"', b",", b"\n", b"\xef\xbb\xbf"),
            ),
            Target(
                "JSON lines with fields",
                parsers.own_table("mine.json"),
                (b'{"document": ["One.", "Two."], "summary": "1"}\n', *seeds.DATASETS),
                "mine.json",
                tokens.JSON,
            ),
            Target("dataset manifest", parsers.manifest_input, (seeds.PREPARED_MANIFEST,), "mine", tokens.JSON),
            Target(
                "articles",
                parsers.articles_input,
                (b"https://x/A\nhttps://x/B\r\n",),
                "articles.txt",
                (b"\0", b"\xff", b"\n"),
            ),
            Target(
                "experiments.yaml",
                parsers.configuration("experiments.yaml"),
                (seeds.EXPERIMENTS,),
                ".yaml",
                tokens.YAML,
            ),
            Target("models.yaml", parsers.configuration("models.yaml"), (seeds.MODELS,), ".yaml", tokens.YAML),
            Target("gpus.yaml", parsers.configuration("gpus.yaml"), (seeds.GPUS,), ".yaml", tokens.YAML),
            Target(
                "image.yaml",
                parsers.configuration("image.yaml"),
                (seeds.IMAGE,),
                ".yaml",
                tokens.YAML,
            ),
            Target(
                "datasets.yaml",
                parsers.datasets_yaml,
                ((CONFIG / "datasets.yaml").read_bytes(),),
                "datasets.yaml",
                tokens.YAML,
            ),
            Target("failures.yaml", parsers.failures_yaml, (seeds.FAILURES,), "failures.yaml", tokens.YAML),
            Target(
                "self_check.yaml",
                parsers.self_check_yaml,
                ((CONFIG / "self_check.yaml").read_bytes(),),
                "self_check.yaml",
                tokens.YAML,
            ),
            Target("run.json", parsers.run_record, (seeds.RUN,), "run.json", tokens.JSON),
            Target(
                "old results",
                parsers.old_pair,
                (seeds.OLD_DOCUMENTS + parsers.CUT + seeds.OLD_TOTALS,),
                "1_a100_default.json",
                (*tokens.JSON, parsers.CUT),
            ),
            Target(
                "old results' names",
                parsers.old_names,
                (b"data_1_a100_default_batchsize-2.json\nresults_1_a100_default_batchsize-2.json",),
                "never refused",
                tokens.PATHS,
            ),
            Target("log", parsers.log_input, seeds.LOGS, "never refused", tokens.LOG),
            Target("progress line", parsers.progress_input, seeds.PROGRESS, "never refused", tokens.JSON),
            Target("weights manifest", parsers.weights_input, (parsers.weights_seed(),), "never refused", tokens.JSON),
            Target("models.lock.json", parsers.models_lock, (seeds.LOCK,), "model", tokens.JSON),
            Target(
                "Hub's answer",
                parsers.hub_input,
                (seeds.HUB_ANSWER + parsers.CUT + seeds.HUB_FILES,),
                "someone/model",
                (*tokens.JSON, parsers.CUT),
            ),
            Target(
                "wheel",
                parsers.wheel_input,
                seeds.WHEELS,
                None,
                (b"PK\x05\x06", b"\xff\xff\xff\xff", b".part99999999999999"),
            ),
            Target("digests.json", parsers.digests_input, (seeds.DIGESTS,), "digests.json", tokens.JSON),
            Target(
                "Parquet", parsers.parquet_input, (seeds.parquet(),), "articles.parquet", (b"PAR1", b"\xff\xff\xff\xff")
            ),
            Target("command line", parsers.arguments_input, seeds.COMMANDS, None, tokens.ARGUMENT),
            Target(
                "worker's command line", parsers.worker_arguments_input, seeds.WORKER_COMMANDS, None, tokens.ARGUMENT
            ),
        )
    }
