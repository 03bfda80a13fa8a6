"""What trainers do with gs:// in TensorFlow and Keras, step by step, each checked and named when it is done.

Nothing here knows of another storage than Google's.
"""

import argparse
import json
import os
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

STEPS = []


def step(function):
    STEPS.append(function)
    return function


def raises(kind, function, *arguments):
    try:
        function(*arguments)
    except kind:
        return True
    return False


def write(path, text):
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)


def read(path):
    with tf.io.gfile.GFile(path) as file:
        return file.read()


def network():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])


def data():
    values = np.random.default_rng(7).normal(size=(64, 4)).astype("float32")
    return values, values.sum(axis=1, keepdims=True)


def trained():
    model = network()
    model.compile("adam", "mse")
    model.fit(*data(), epochs=1, verbose=0)
    return model


def same(one, other):
    values, _ = data()
    return np.allclose(np.asarray(one(values)), np.asarray(other(values)), atol=1e-6)


@step
def makedirs(base):
    tf.io.gfile.makedirs(f"{base}/files/deep/er")
    assert tf.io.gfile.isdir(f"{base}/files/deep/er") and tf.io.gfile.isdir(f"{base}/files")


@step
def gfile_write_and_read(base):
    write(f"{base}/files/a.txt", "안녕\nsecond line\n")
    assert read(f"{base}/files/a.txt") == "안녕\nsecond line\n"
    with tf.io.gfile.GFile(f"{base}/files/a.txt") as file:
        assert [line.strip() for line in file] == ["안녕", "second line"]


@step
def gfile_empty_file(base):
    write(f"{base}/files/empty", "")
    assert read(f"{base}/files/empty") == "" and tf.io.gfile.stat(f"{base}/files/empty").length == 0


@step
def gfile_append(base):
    write(f"{base}/files/log", "one\n")
    with tf.io.gfile.GFile(f"{base}/files/log", "a") as file:
        file.write("two\n")
    assert read(f"{base}/files/log") == "one\ntwo\n"


@step
def gfile_binary_and_seek(base):
    content = np.random.default_rng(1).bytes(300_000)
    with tf.io.gfile.GFile(f"{base}/files/bytes", "wb") as file:
        file.write(content)
    with tf.io.gfile.GFile(f"{base}/files/bytes", "rb") as file:
        file.seek(123_456)
        assert file.read(1000) == content[123_456:124_456] and file.size() == 300_000
        file.seek(0)
        assert file.read() == content


@step
def gfile_overwrite(base):
    write(f"{base}/files/again", "long first content")
    write(f"{base}/files/again", "short")
    assert tf.io.read_file(f"{base}/files/again").numpy() == b"short"


@step
def listdir(base):
    names = {name.rstrip("/") for name in tf.io.gfile.listdir(f"{base}/files")}
    assert {"a.txt", "empty", "log", "bytes", "again", "deep"} <= names, names


@step
def glob(base):
    found = tf.io.gfile.glob(f"{base}/files/*.txt")
    assert found == [f"{base}/files/a.txt"], found


@step
def walk(base):
    folders = [folder.rstrip("/") for folder, _, _ in tf.io.gfile.walk(f"{base}/files")]
    assert f"{base}/files/deep/er" in folders, folders


@step
def stat(base):
    found = tf.io.gfile.stat(f"{base}/files/bytes")
    assert found.length == 300_000 and abs(found.mtime_nsec / 1e9 - time.time()) < 600
    assert tf.io.gfile.stat(f"{base}/files/deep").is_directory


@step
def exists_and_isdir(base):
    assert tf.io.gfile.exists(f"{base}/files/a.txt") and not tf.io.gfile.exists(f"{base}/files/none")
    assert not tf.io.gfile.isdir(f"{base}/files/a.txt")


@step
def missing_is_not_found(base):
    assert raises(tf.errors.NotFoundError, read, f"{base}/files/none")


@step
def rename(base):
    tf.io.gfile.rename(f"{base}/files/again", f"{base}/files/renamed")
    assert read(f"{base}/files/renamed") == "short" and not tf.io.gfile.exists(f"{base}/files/again")


@step
def copy(base):
    tf.io.gfile.copy(f"{base}/files/a.txt", f"{base}/files/copied", overwrite=True)
    assert read(f"{base}/files/copied") == read(f"{base}/files/a.txt")


@step
def copy_to_and_from_disk(base):
    Path("local.txt").write_text("from disk")
    tf.io.gfile.copy("local.txt", f"{base}/files/uploaded")
    tf.io.gfile.copy(f"{base}/files/uploaded", "back.txt")
    assert Path("back.txt").read_text() == "from disk"


@step
def rename_a_folder(base):
    write(f"{base}/old/x/1", "1")
    write(f"{base}/old/2", "2")
    tf.io.gfile.rename(f"{base}/old", f"{base}/new")
    assert read(f"{base}/new/x/1") == "1" and not tf.io.gfile.exists(f"{base}/old/2")


@step
def remove(base):
    tf.io.gfile.remove(f"{base}/files/copied")
    assert not tf.io.gfile.exists(f"{base}/files/copied")


@step
def rmtree(base):
    tf.io.gfile.rmtree(f"{base}/new")
    assert not tf.io.gfile.exists(f"{base}/new/x/1")


@step
def names_with_odd_characters(base):
    path = f"{base}/files/한국어 + #%2F?&.txt"
    write(path, "odd")
    assert read(path) == "odd"
    tf.io.gfile.rename(path, f"{base}/files/plain")
    assert read(f"{base}/files/plain") == "odd"


@step
def text_line_dataset(base):
    write(f"{base}/data/one.csv", "1,2\n3,4\n")
    write(f"{base}/data/two.csv", "5,6\n")
    lines = tf.data.TextLineDataset([f"{base}/data/one.csv", f"{base}/data/two.csv"])
    assert [line.decode() for line in lines.as_numpy_iterator()] == ["1,2", "3,4", "5,6"]


@step
def list_files(base):
    found = tf.data.Dataset.list_files(f"{base}/data/*.csv", shuffle=False)
    assert [name.decode() for name in found.as_numpy_iterator()] == [
        f"{base}/data/{n}.csv" for n in ("one", "two")
    ]


@step
def tfrecords(base):
    with tf.io.TFRecordWriter(f"{base}/data/records") as file:
        for number in range(1000):
            file.write(b"%d" % number)
    found = list(tf.data.TFRecordDataset(f"{base}/data/records").as_numpy_iterator())
    assert found == [b"%d" % number for number in range(1000)]


@step
def dataset_save_and_load(base):
    tf.data.Dataset.range(100).save(f"{base}/data/saved")
    assert sorted(tf.data.Dataset.load(f"{base}/data/saved").as_numpy_iterator()) == list(range(100))


@step
def summary(base):
    writer = tf.summary.create_file_writer(f"{base}/summary")
    with writer.as_default():
        for number in range(3):
            tf.summary.scalar("loss", 1.0 / (number + 1), step=number)
            writer.flush()
    writer.close()
    files = tf.io.gfile.glob(f"{base}/summary/events.*")
    events = [event for name in files for event in tf.compat.v1.train.summary_iterator(name)]
    assert [event.step for event in events if event.summary.value] == [0, 1, 2]


@step
def checkpoint_of_8_mb_bit_for_bit(base):
    content = np.random.default_rng(2).bytes(8_000_000)
    value = tf.Variable(np.frombuffer(content, "uint8"))
    path = tf.train.Checkpoint(value=value).save(f"{base}/checkpoints/model")
    other = tf.Variable(tf.zeros(8_000_000, tf.uint8))
    tf.train.Checkpoint(value=other).restore(path).assert_consumed()
    assert other.numpy().tobytes() == content
    assert tf.train.latest_checkpoint(f"{base}/checkpoints") == path


@step
def checkpoint_manager(base):
    number = tf.Variable(0)
    keeper = tf.train.CheckpointManager(tf.train.Checkpoint(n=number), f"{base}/kept", max_to_keep=2)
    for _ in range(4):
        number.assign_add(1)
        keeper.save()
    found = [name for name in tf.io.gfile.listdir(f"{base}/kept") if name.endswith(".index")]
    assert len(found) == 2, found


@step
def saved_model(base):
    module = tf.Module()
    module.weight = tf.Variable([2.0, 3.0])
    signature = tf.function(lambda x: module.weight * x, input_signature=[tf.TensorSpec([2])])
    module.call = signature
    tf.saved_model.save(module, f"{base}/saved_model", signatures=signature)
    loaded = tf.saved_model.load(f"{base}/saved_model")
    assert loaded.call(tf.constant([1.0, 2.0])).numpy().tolist() == [2.0, 6.0]


@step
def keras_save_and_load(base):
    model = trained()
    model.save(f"{base}/model.keras")
    assert same(keras.models.load_model(f"{base}/model.keras"), model)


@step
def keras_export(base):
    model = trained()
    model.export(f"{base}/exported", verbose=False)
    loaded = tf.saved_model.load(f"{base}/exported")
    assert same(loaded.serve, model)


@step
def keras_weights(base):
    model, other = trained(), network()
    model.save_weights(f"{base}/model.weights.h5")
    other.load_weights(f"{base}/model.weights.h5")
    assert same(model, other)


@step
def keras_callbacks(base):
    model = network()
    model.compile("adam", "mse")
    callbacks = [
        keras.callbacks.TensorBoard(f"{base}/board", write_graph=False),
        keras.callbacks.ModelCheckpoint(f"{base}/every/{{epoch}}.keras"),
        keras.callbacks.BackupAndRestore(f"{base}/backup"),
    ]
    model.fit(*data(), epochs=2, verbose=0, callbacks=callbacks)
    assert tf.io.gfile.glob(f"{base}/board/train/events.*")
    assert same(keras.models.load_model(f"{base}/every/2.keras"), model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-dir", required=True)
    base = parser.parse_args().job_dir.rstrip("/")
    assert json.loads(os.environ["TF_CONFIG"])["job"]["job_dir"].rstrip("/") == base
    for function in STEPS:
        began = time.perf_counter()
        function(base)
        print(f"ok {function.__name__} {time.perf_counter() - began:.2f} s", flush=True)
    print(f"all {len(STEPS)} steps done", flush=True)


if __name__ == "__main__":
    main()
