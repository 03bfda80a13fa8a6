"""The command line of the trainer: parses arguments, then trains, measures and saves."""

from __future__ import annotations

import argparse

from trainer import data, model


def main() -> None:
    args = parse_arguments()
    job_dir = args.job_dir.rstrip("/")

    train, evaluation = data.read(args.train_files), data.read(args.eval_files)
    columns = data.derive(train, evaluation, args.target, args.ignore)
    print(columns, flush=True)

    estimator = model.create(
        columns, trees=args.trees, learning_rate=args.learning_rate, max_depth=args.max_depth
    )
    estimator.fit(data.features(train, columns), data.labels(train, args.target))

    rows, target = data.features(evaluation, columns), data.labels(evaluation, args.target)
    metrics = model.evaluate(estimator, rows, target, columns)
    model.save(estimator, metrics, columns, job_dir)
    print(f"Saved the model in {job_dir}/model")
    for name, value in metrics.items():
        print(f"Holdout {name}: {value:.4g} (n={len(rows)})")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a scikit-learn model on CSV files.")
    parser.add_argument(
        "--train-files", nargs="+", required=True, help="CSV files, local or gs://; * is understood"
    )
    parser.add_argument("--eval-files", nargs="+", required=True, help="CSV files to measure the model on")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--ignore", nargs="*", default=[], metavar="COLUMN", help="columns not to learn from")
    parser.add_argument("--trees", type=int, default=100, help="rounds of boosting")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="how much each round may change")
    parser.add_argument("--max-depth", type=int, default=3, help="how many questions a tree asks in a row")
    parser.add_argument("--job-dir", required=True, help="where model/ and metrics.json go, local or gs://")
    return parser.parse_args()


if __name__ == "__main__":
    main()
