"""The command line of the trainer: parses arguments, then trains, measures and saves."""

from __future__ import annotations

import argparse

import keras

from trainer import data, model


def main() -> None:
    args = parse_arguments()
    job_dir = args.job_dir.rstrip("/")
    # Python, NumPy and TensorFlow at once: the same data trains the same model.
    keras.utils.set_random_seed(args.seed)

    train, evaluation = (
        data.read(files).rename(columns=model.input_name) for files in (args.train_files, args.eval_files)
    )
    target, ignore = model.input_name(args.target), map(model.input_name, args.ignore)
    columns = data.derive(train, evaluation, target, list(ignore))
    print(columns, flush=True)

    rows = data.features(train, columns)
    network = model.create(
        rows,
        columns,
        hidden_units=args.hidden_units,
        dropout=args.dropout,
        learning_rate=args.learning_rate,
    )
    batches = model.dataset(rows, data.labels(train, target), columns, batch_size=args.batch_size)
    # One line per epoch: a progress bar would fill the job's log.
    network.fit(batches.shuffle(1000, seed=args.seed), epochs=args.epochs, verbose=2)

    rows = data.features(evaluation, columns)
    batches = model.dataset(rows, data.labels(evaluation, target), columns, batch_size=args.batch_size)
    metrics = network.evaluate(batches, verbose=0, return_dict=True)
    model.save(network, metrics, columns, job_dir)
    print(f"Saved the model in {job_dir}/model")
    for name, value in metrics.items():
        print(f"Holdout {name}: {value:.4g} (n={len(rows)})")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a Keras model on CSV files.")
    parser.add_argument(
        "--train-files", nargs="+", required=True, help="CSV files, local or gs://; * is understood"
    )
    parser.add_argument("--eval-files", nargs="+", required=True, help="CSV files to measure the model on")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--ignore", nargs="*", default=[], metavar="COLUMN", help="columns not to learn from")
    parser.add_argument("--epochs", type=int, default=30, help="how often the training rows are gone through")
    parser.add_argument("--batch-size", type=int, default=32, help="rows in a step")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="how much each step may change")
    parser.add_argument("--hidden-units", type=int, nargs="*", default=[64, 32], help="width of each layer")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of units left out in each step")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and dropout")
    parser.add_argument("--job-dir", required=True, help="where model/ and metrics.json go, local or gs://")
    return parser.parse_args()


if __name__ == "__main__":
    main()
