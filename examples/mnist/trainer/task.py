"""The command line of the trainer: trains on MNIST, saves the model, and measures it on the test images."""

from __future__ import annotations

import argparse

import keras

from trainer.dataset import load_mnist
from trainer.model import create_model, save_as_tensorflow


def main() -> None:
    args = parse_arguments()
    # Python, NumPy and TensorFlow at once: the same data trains the same model.
    keras.utils.set_random_seed(0)

    train_x, train_y, test_x, test_y = load_mnist(args.train_file)
    model = create_model()
    # One line per epoch: a progress bar would fill the job's log.
    model.fit(train_x, train_y, batch_size=32, epochs=args.epochs, verbose=2)

    model_path = f"{args.job_dir.rstrip('/')}/model"
    save_as_tensorflow(model, model_path)
    print("Saved the model in", model_path)

    test_loss, test_accuracy = model.evaluate(test_x, test_y, verbose=0)
    print("Test Loss:", test_loss)
    print("Test Accuracy:", test_accuracy)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which digit is it?")
    parser.add_argument("--job-dir", default="checkpoints", help="where model/ goes, local or gs://")
    parser.add_argument(
        "--train-file", default="mnist", help="folder of the four MNIST files, local or gs://"
    )
    parser.add_argument(
        "--epochs", type=int, default=1, help="how often the training images are gone through"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
