"""The command line of the trainer: parses arguments, and hands all of them to the model."""

from __future__ import annotations

import argparse

from trainer import model


def main() -> None:
    parser = argparse.ArgumentParser(description="What will the taxi cost?")
    parser.add_argument(
        "--train_data_paths", required=True, help="CSV files, local or gs://; * is understood"
    )
    parser.add_argument("--eval_data_paths", required=True, help="CSV files to measure the model on")
    parser.add_argument("--output_dir", required=True, help="where model/ goes, local or gs://")
    parser.add_argument("--train_steps", type=int, default=100, help="rounds of boosting")
    parser.add_argument("--learning_rate", type=float, default=0.1, help="how much each round may change")
    parser.add_argument("--max_depth", type=int, default=4, help="how many questions a tree asks in a row")
    parser.add_argument("--job-dir", required=True, help="where metrics.json goes, local or gs://")
    args = parser.parse_args()

    error = model.train_and_evaluate(vars(args))
    print(f"Validation RMSE: {error:.2f} dollars")


if __name__ == "__main__":
    main()
