"""The command line of the trainer: parses arguments, then trains, measures and saves."""

from __future__ import annotations

import argparse

from trainer import input, model


def main() -> None:
    args = parse_arguments()

    train_features, train_target = input.read(args.train_files)
    eval_features, eval_target = input.read(args.eval_files)
    print(f"Read {len(train_features)} rows to train on and {len(eval_features)} to evaluate on.")

    classifier = model.train(train_features, train_target, max_steps=args.train_steps)
    print(f"Trained: the solver took {model.steps_taken(classifier)} of at most {args.train_steps} steps.")

    metrics = model.evaluate(
        classifier, eval_features, eval_target, max_steps=args.eval_steps, batch_size=args.eval_batch_size
    )
    model.save(classifier, metrics, args.job_dir.rstrip("/"))
    print(f"Saved the model in {args.job_dir.rstrip('/')}/model")
    print(f"Holdout accuracy: {metrics['accuracy']:.3f} (n={metrics['rows']})")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Who survived the Titanic?")
    parser.add_argument(
        "--train-files", nargs="+", required=True, help="CSV files, local or gs://; * is understood"
    )
    parser.add_argument("--eval-files", nargs="+", required=True, help="CSV files to measure the model on")
    parser.add_argument(
        "--train-steps", type=int, default=1000, help="the most steps that the solver may take"
    )
    parser.add_argument("--eval-steps", type=int, default=100, help="the most batches to evaluate")
    parser.add_argument("--eval-batch-size", type=int, default=40, help="rows in a batch")
    parser.add_argument("--job-dir", required=True, help="where model/ and metrics.json go, local or gs://")
    return parser.parse_args()


if __name__ == "__main__":
    main()
