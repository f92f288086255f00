"""What a published setup gives when it is trained the way of the notebooks, without this framework.

    python benchmarks/notebook.py upgrad_melonoma_m2 --seeds 1,2,3 dataset.root=DIR

The control of `experiments/01-published`: the experiment's network and random layers, but files,
split and batches of Keras' `image_dataset_from_directory`, rescaling and random layers inside the
model, Keras' own dropout and Adam, plain `fit`. Prints a line of CSV an epoch.
"""

import argparse
from pathlib import Path
from typing import Any

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.config import Experiment
from melanoma_exp.models.cnn import per_item
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training import process


def notebook_model(experiment: Experiment, shape: tuple[int, ...], classes: int) -> Any:
    """Returns the experiment's network as a notebook writes it, not compiled; its output is logits.

    Args:
        experiment: Its model is one of blocks of convolutions; its policy is `flip_rotate_zoom` or
            makes no difference while training.
        shape: (height, width, 3) of the images, whose values are 0 to 255.
        classes: Number of units of the last layer.
    """
    import keras
    from keras import layers

    net, policy = experiment.model, experiment.augment
    stack: list[Any] = [keras.Input(shape)]
    if policy.kind == "flip_rotate_zoom":
        fill = {"fill_mode": policy.fill_mode, "interpolation": policy.interpolation}
        stack += [
            layers.RandomFlip(policy.flip),
            layers.RandomRotation(policy.rotation, **fill),
            layers.RandomZoom(policy.zoom_height, policy.zoom_width, **fill),
        ]
    stack.append(layers.Rescaling(1 / 255))
    options = zip(
        net.filters,
        per_item(net.padding, net.filters),
        per_item(net.dropout, net.filters),
        strict=True,
    )
    for filters, padding, dropout in options:
        for width in filters:
            stack.append(layers.Conv2D(width, net.kernel, padding=padding, activation="relu"))
        stack += [layers.MaxPooling2D(), *([layers.Dropout(dropout)] if dropout else [])]
    stack.append(layers.Flatten())
    for units, dropout in zip(net.dense, per_item(net.dense_dropout, net.dense), strict=True):
        stack += [layers.Dense(units, activation="relu")]
        stack += [layers.Dropout(dropout)] if dropout else []
    stack += [layers.Dropout(net.head_dropout)] if net.head_dropout else []
    return keras.Sequential([*stack, layers.Dense(classes)])


def compile_as_notebook(model: Any, learning_rate: float) -> None:
    """Compiles it as a notebook does, without XLA, which is slower on CPUs."""
    import keras

    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )


def main() -> None:
    """Trains the experiment once for each seed."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("name", help="of conf/experiment/published, without .yaml")
    parser.add_argument("--seeds", default="1", help="of weights and layers, with commas between")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, such as dataset.root=DIR")
    given = parser.parse_intermixed_args()
    words = [f"experiment=published/{given.name}", *given.overrides]
    experiment = config.parse(compose.compose(Path(conf_folder()), words))
    if lacking := _lacking(experiment):
        raise SystemExit(f"{given.name}: this way has no {', '.join(lacking)}")
    experiment.dataset.check_environment()
    print("experiment,seed,epoch,train_accuracy,train_loss,val_accuracy,val_loss", flush=True)
    for seed in map(int, given.seeds.split(",")):
        _train(given.name, experiment, seed)


def _lacking(experiment: Experiment) -> list[str]:
    """Returns the settings that would be passed over, were it trained here."""
    net, policy, train = experiment.model, experiment.augment, experiment.train
    wanted = {
        "model.rescale=false": not net.rescale,
        "model.norm": set(per_item(net.norm, net.filters)) != {"none"},
        "model.dense_norm": any(per_item(net.dense_norm, net.dense)),
        "model.head_units": net.head_units is not None,
        f"augment={policy.kind}": policy.kind not in ("none", "flip_rotate_zoom"),
        "shifts": any((*getattr(policy, "shift_height", ()), *getattr(policy, "shift_width", ()))),
        f"balance={experiment.balance.kind}": experiment.balance.kind != "none",
        f"dataset.task={experiment.dataset.task}": experiment.dataset.task != "classes",
        f"train.schedule={train.schedule}": train.schedule != "constant",
    }
    return [name for name, is_wanted in wanted.items() if is_wanted]


def _train(name: str, experiment: Experiment, seed: int) -> None:
    process.import_tensorflow()  # with the kernels that runs have: only the way differs
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    size = experiment.dataset.image_size
    train, val = (
        keras.utils.image_dataset_from_directory(
            experiment.dataset.root / "Train",
            validation_split=0.2,
            subset=subset,
            seed=123,
            image_size=size,
            batch_size=experiment.train.batch_size,
            verbose=False,
        )
        for subset in ("training", "validation")
    )
    model = notebook_model(experiment, (*size, 3), len(train.class_names))
    compile_as_notebook(model, experiment.train.learning_rate)

    def say(epoch: int, logs: dict[str, float]) -> None:
        keys = "accuracy", "loss", "val_accuracy", "val_loss"
        print(name, seed, epoch + 1, *(f"{logs[key]:.4f}" for key in keys), sep=",", flush=True)

    model.fit(
        train.cache().shuffle(1000).prefetch(tf.data.AUTOTUNE),
        validation_data=val.cache().prefetch(tf.data.AUTOTUNE),
        epochs=experiment.train.epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=say)],
        verbose=0,
    )


if __name__ == "__main__":
    main()
